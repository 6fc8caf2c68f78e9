// SPDX-License-Identifier: Apache-2.0
// DC-ASGD: delay-compensated asynchronous SGD.
//
// Source:   Zheng et al. 2017, Asynchronous Stochastic Gradient Descent with
//           Delay Compensation (ICML, arXiv:1609.08326), Algorithms 1 and 2.
// Rule:     every step, element by element:
//             c <- c - server_lr*(g + lambda_t*g*g*(c - s)),  x <- c
//             lambda_t = lambda, or adaptive:
//               q <- m*q + (1 - m)*g*g,  lambda_t = lambda / sqrt(q + 1e-7)
// Symbols:  g replica.gradient, taken at s; c shard.center; s
//           shard.seen(worker), the center as that worker was last handed it; q
//           the shard's slot "squares"; x replica.x; all [P] float32.
// Units:    server_lr is the rate; lambda dimensionless, adaptive in units of
//           |g|.
// Errors:   whatever Link returns; x is then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): the mean over the workers of their deltas is added.
// Schedules: server_lr is multiplied by the factor of the worker who pushes.
// Cost:     see GradientTrainer; workers x model bytes on the servers.
// Departs:  s starts as the center that the worker pulled first; in the
//           authors'
//           code it starts as zeros, so that every worker's first correction is
//           wrong there.

#include "trainers/gradient_trainer.h"
#include "trainers/server_elements.h"
#include "trainers/server_rule.h"

namespace monsoon {
namespace {

class DcAsgd final : public GradientTrainer {
 public:
  explicit DcAsgd(Hyperparameters& hyper)
      : GradientTrainer(1),
        adaptive_(hyper.Toggle("adaptive", false,
                               "divide lambda by the root of the mean square "
                               "of the gradients")),
        lambda_(static_cast<float>(
            hyper.Number("lambda", adaptive_ ? 2 : 0.04, {.min = 0},
                         "strength of the correction; 0.04 is the paper's, 2 "
                         "its adaptive one"))),
        decay_(static_cast<float>(hyper.Number(
            "mean_square", 0.95, {.min = 0, .max = 1, .max_open = true},
            "m: the part of the mean square that stays (adaptive)"))),
        lr_(static_cast<float>(hyper.Number(
            "server_lr", hyper.facts().lr, {.min = 0, .min_open = true},
            "the rate; the workers' --lr by default"))) {}

  Traits traits() const override {
    Traits traits = GradientTrainer::traits();
    traits.keeps_seen = true;
    return traits;
  }

  void Apply(const Update& update, Shard& shard) const override {
    const float lr = lr_ * update.lr_factor;
    Flat c = shard.center.Slice(0, shard.parameters);
    const Flat g = update.value.Slice(0, shard.parameters);
    const Flat s = shard.seen(update.worker).Slice(0, shard.parameters);
    if (adaptive_) {
      Flat q = shard.slot("squares").Slice(0, shard.parameters);
      ForEach(CompensateDelayAdaptively{lr, lambda_, decay_}, c, q, g, s);
    } else {
      ForEach(CompensateDelay{lr, lambda_}, c, g, s);
    }
    AddStatistics(update, shard);
  }

 private:
  const bool adaptive_;
  const float lambda_, decay_, lr_;
};

REGISTER_TRAINER("dcasgd", DcAsgd,
                 {.title = "delay-compensated asynchronous SGD",
                  .equation = "every step: c <- c - lr*(g + lambda*g*g*(c - "
                              "c')), x <- c",
                  .source = "Zheng et al. 2017, ICML, arXiv:1609.08326",
                  .optimizer = "sgd",
                  .lr = 0.1f});

}  // namespace
}  // namespace monsoon
