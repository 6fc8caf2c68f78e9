// SPDX-License-Identifier: Apache-2.0
// DiLoCo: long rounds of local steps, and an outer optimizer.
//
// Source:   Douillard et al. 2023 (arXiv:2311.08105).
// Rule:     x <- Opt(x, g) every step; every `window` steps, all workers:
//             c <- OuterOpt(c, -sum_i b_i*(x_i - c) / sum_i b_i),  x <- c
// Symbols:  x_i the replicas, c shard.center, b_i the samples of the round;
//           vectors are [P] float32. OuterOpt is the key server_optimizer.
// Units:    `window` (the paper's H) in local steps.
// Errors:   whatever Link returns; x and the kept center are then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): the mean, without outer optimizer.
// Cost:     see RoundTrainer; the servers keep the pushes of a round, and the
//           outer optimizer's slots.
// Departs:  H is 500 in the paper, for models with billions of tokens to come;
//           here 30. The mean is weighted by samples.
#include "trainers/delta_trainer.h"
#include "trainers/server_rule.h"

namespace monsoon {
namespace {

class DiLoCo final : public RoundTrainer {
 public:
  explicit DiLoCo(Hyperparameters& hyper)
      : RoundTrainer(Window(hyper, 30)), outer_(hyper, "nesterov", 0.7) {}

  Traits traits() const override {
    Traits traits = RoundTrainer::traits();
    traits.reach = outer_.reach();
    return traits;
  }
  void Apply(const Update& update, Shard& shard) const override {
    outer_.Follow(update, shard);
  }

 private:
  const ServerRule outer_;
};

REGISTER_TRAINER("diloco", DiLoCo,
                 {.title = "distributed low-communication training",
                  .equation = "every window, all workers: c <- Nesterov(c, c "
                              "- mean x), x <- c",
                  .source = "Douillard et al. 2023, arXiv:2311.08105",
                  .optimizer = "adamw",
                  .lr = 0.001f});

}  // namespace
}  // namespace monsoon
