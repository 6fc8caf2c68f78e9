// SPDX-License-Identifier: Apache-2.0
// Staleness-aware asynchronous SGD, with n-softsync.
//
// Source:   Zhang, Gupta, Lian, Liu 2016, Staleness-aware Async-SGD for
//           Distributed Deep Learning (IJCAI, arXiv:1511.05950).
// Rule:     every step a gradient; every `softsync` of them, from whomever:
//             c <- Opt(c, (1/softsync) * sum_j g_j / max(1, tau_j)),  x <- c
//           and a worker goes on at once from the center that there is.
// Symbols:  g_j an update's value, tau_j its staleness in rounds of the shard,
//           c shard.center, x replica.x; vectors are [P] float32.
// Units:    server_lr is the rate of a gradient that is not stale.
// Errors:   whatever Link returns; x is then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): the mean over the workers of their deltas,
// discounted
//           like the gradients.
// Schedules: server_lr is multiplied by the factor of the workers who push.
// Cost:     see GradientTrainer; the servers keep the gradients of a round.
// Departs:  gradients are weighted by their samples in a round's mean. The
//           paper
//           names n-softsync by n = workers / softsync. When the last workers
//           end, what is left of a round is applied with fewer gradients.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "trainers/gradient_trainer.h"
#include "trainers/server_rule.h"

namespace monsoon {
namespace {

class StalenessLr final : public GradientTrainer {
 public:
  explicit StalenessLr(Hyperparameters& hyper)
      : GradientTrainer(hyper.Count(
            "softsync", 1, 1,
            "gradients of one update; the workers make it nearly synchronous, "
            "1 asynchronous")),
        rule_(hyper, hyper.facts().optimizer, hyper.facts().lr) {}

  Traits traits() const override {
    Traits traits = GradientTrainer::traits();
    traits.reach = rule_.reach();
    return traits;
  }
  // Who is the last cannot fill a round.
  int Quorum(int64_t, absl::Span<const int> live) const override {
    const auto most = static_cast<int64_t>(live.size());
    return static_cast<int>(std::max<int64_t>(1, std::min(in_mean(), most)));
  }
  float Discount(const Update& update) const override {
    return 1.0f / static_cast<float>(std::max<int64_t>(1, update.staleness));
  }
  void Apply(const Update& update, Shard& shard) const override {
    rule_.Descend(update, shard);
  }

 private:
  const ServerRule rule_;
};

REGISTER_TRAINER("staleness_lr", StalenessLr,
                 {.title = "staleness-aware asynchronous SGD",
                  .equation = "every step: c <- Opt(c, g/max(1, tau)), x <- c",
                  .source = "Zhang, Gupta, Lian, Liu 2016, IJCAI, "
                            "arXiv:1511.05950",
                  .optimizer = "sgd",
                  .lr = 0.1f});

}  // namespace
}  // namespace monsoon
