// SPDX-License-Identifier: Apache-2.0
// GEM: gradient energy matching.
//
// Source:   Hermans, Louppe 2018 (arXiv:1805.08469), and its reference code.
// Rule:     all workers together shall move like one momentum SGD. Every
//           `window` steps the worker pushes D = x - c', its way; the server
//           then, element by element and in one piece:
//             m  <- mu*m + D                         the worker's proxy
//             pi = (kappa*|m| - |c - s|) / (|D| + epsilon), from clamp_min to
//                  clamp_max
//             c  <- c + pi*D,   s <- c
//           and the worker goes on from x <- c.
// Symbols:  x replica.x, c shard.center, D the update, m the slot
//           "proxy/<worker>", s shard.seen(worker), the center as that worker
//           left it; all [P] float32. Between exchanges x <- x - lr*g.
// Units:    `window` in local steps; pi, mu, kappa dimensionless.
// Errors:   INVALID_ARGUMENT for a local optimizer with a memory of its own;
//           whatever Link returns, x and c' are then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): the mean over the workers of their deltas is added.
// Cost:     one PushPull of P floats each way per window; the servers keep m
//           and s of every worker: 2 x workers x model bytes.
// Departs:  m and s lie on the servers instead of the worker: so pull, factor
//           and commit are one transaction, as they are in the reference code,
//           for one message each way. s holds the worker's own commit, so that
//           |c - s| is what others moved, as the text defines it; the reference
//           code sets s before the commit (count_own_update=true). The clamp is
//           the code's; the text has none, and epsilon 1e-16.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "trainers/delta_trainer.h"
#include "trainers/server_elements.h"
#include "trainers/server_rule.h"

namespace monsoon {
namespace {

class Gem final : public DeltaTrainer {
 public:
  explicit Gem(Hyperparameters& hyper)
      : DeltaTrainer(Window(hyper, 1)),
        mu_(Get(hyper, "momentum", 0.9, {.min = 0, .max = 1, .max_open = true},
                "mu: the proxy's")),
        kappa_(Get(hyper, "kappa", 1, {.min = 0, .min_open = true},
                   "of the proxy's energy, the part that all workers together "
                   "may have; 2 is the most that the paper found stable")),
        clamp_min_(Get(hyper, "clamp_min", 0, {}, "smallest factor pi")),
        clamp_max_(Get(hyper, "clamp_max", 5, {}, "largest factor pi")),
        epsilon_(Get(hyper, "epsilon", 1e-12, {.min = 0, .min_open = true},
                     "keeps the division finite")),
        counts_own_(hyper.Toggle("count_own_update", false,
                                 "|c - s| holds the worker's own last commit, "
                                 "as in the reference code")) {
    hyper.Require(
        clamp_min_ <= clamp_max_,
        absl::StrCat("clamp_min=", clamp_min_, ", clamp_max=", clamp_max_,
                     ": expected clamp_min at most clamp_max"));
    hyper.Warn(kappa_ > 2, absl::StrCat("kappa=", kappa_,
                                        ": expected at most 2; the paper's "
                                        "runs diverged at 4"));
  }

  Traits traits() const override {
    Traits traits = DeltaTrainer::traits();
    traits.local_step = LocalStep::kPlain;
    traits.keeps_seen = true;
    traits.reach = std::max({1.0f, std::abs(clamp_min_), std::abs(clamp_max_)});
    return traits;
  }

  void Apply(const Update& update, Shard& shard) const override {
    Flat c = shard.center.Slice(0, shard.parameters);
    const Flat d = update.value.Slice(0, shard.parameters);
    const Flat s = shard.seen(update.worker).Slice(0, shard.parameters);
    Flat m = shard.slot("proxy", update.worker).Slice(0, shard.parameters);
    const GemFactor factor{kappa_, epsilon_, clamp_min_, clamp_max_};
    // What the worker itself moved last, where that counts as motion.
    if (counts_own_) {
      Flat own = shard.slot("own", update.worker).Slice(0, shard.parameters);
      ForEach(GemMoveWithOwn{mu_, factor}, c, m, own, d, s);
    } else {
      ForEach(GemMove{mu_, factor}, c, m, d, s);
    }
    AddStatistics(update, shard);
  }

 private:
  static float Get(Hyperparameters& hyper, const char* key, double fallback,
                   Range range, const char* help) {
    return static_cast<float>(hyper.Number(key, fallback, range, help));
  }

  const float mu_, kappa_, clamp_min_, clamp_max_, epsilon_;
  const bool counts_own_;
};

REGISTER_TRAINER("gem", Gem,
                 {.title = "gradient energy matching",
                  .equation = "every window: D = x - c', m <- mu*m + D, pi = "
                              "(kappa*|m| - |c - s|)/|D|, c <- c + pi*D, "
                              "x <- c, s <- c",
                  .source = "Hermans, Louppe 2018, arXiv:1805.08469",
                  .optimizer = "sgd",
                  .lr = 0.05f});

}  // namespace
}  // namespace monsoon
