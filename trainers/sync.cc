// SPDX-License-Identifier: Apache-2.0
// Sync: bulk-synchronous SGD, with backup workers.
//
// Source:   the textbook; large minibatches Goyal et al. 2017
//           (arXiv:1706.02677), backup workers Chen et al. 2016
//           (arXiv:1604.00981).
// Rule:     every step, when n - backups of n living workers have pushed:
//             c <- Opt(c, sum_i b_i*g_i / sum_i b_i),  x <- c
//           Who comes later with a gradient of that round is refused, and goes
//           on from the new center.
// Symbols:  g_i a worker's gradient, b_i its samples, c shard.center, x
//           replica.x; vectors are [P] float32. The mean is taken in the order
//           of ranks: the same bits in every run.
// Units:    server_lr is the rate for one worker's batch; linear_scaling
//           multiplies it by the workers, as the batch grows with them.
// Errors:   whatever Link returns; x is then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): the mean of the workers' deltas is added.
// Schedules: server_lr is multiplied by the workers' factor; --warmup is the
//           paper's gradual warmup.
// Cost:     see GradientTrainer; the servers keep the gradients of a round:
//           workers x model bytes.
// Departs:  there are no extra workers: backups of the n are those whose
//           gradients may come too late.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "trainers/gradient_trainer.h"
#include "trainers/server_rule.h"

namespace monsoon {
namespace {

class Sync final : public GradientTrainer {
 public:
  explicit Sync(Hyperparameters& hyper)
      : GradientTrainer(kUnbounded, {.rounds = 1}),
        backups_(hyper.Count("backups", 0, 0,
                             "workers that a step does not wait for")),
        rule_(hyper, hyper.facts().optimizer, Rate(hyper)) {
    hyper.Require(backups_ < hyper.facts().workers,
                  absl::StrCat("backups=", backups_, ": expected less than ",
                               "--workers, ", hyper.facts().workers));
  }

  Traits traits() const override {
    Traits traits = GradientTrainer::traits();
    traits.reach = rule_.reach();
    return traits;
  }
  int Quorum(int64_t, absl::Span<const int> live) const override {
    const auto all = static_cast<int64_t>(live.size());
    return static_cast<int>(std::max<int64_t>(1, all - backups_));
  }
  float Discount(const Update& update) const override {
    return update.staleness > 0 ? 0 : 1;
  }
  void Apply(const Update& update, Shard& shard) const override {
    rule_.Descend(update, shard);
  }

 private:
  static double Rate(Hyperparameters& hyper) {
    const bool scales =
        hyper.Toggle("linear_scaling", false,
                     "the default of server_lr is --lr times the workers");
    return hyper.facts().lr *
           static_cast<float>(scales ? hyper.facts().workers : 1);
  }

  const int64_t backups_;
  const ServerRule rule_;
};

REGISTER_TRAINER("sync", Sync,
                 {.title = "bulk-synchronous SGD",
                  .equation = "every step, all workers: c <- Opt(c, mean g), "
                              "x <- c",
                  .source = "Goyal et al. 2017, arXiv:1706.02677; Chen et al. "
                            "2016, arXiv:1604.00981",
                  .optimizer = "nesterov",
                  .lr = 0.05f});

}  // namespace
}  // namespace monsoon
