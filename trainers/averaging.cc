// SPDX-License-Identifier: Apache-2.0
// Averaging: every worker trains alone; one mean at the end.
//
// Source:   Zinkevich, Weimer, Smola, Li 2010, Parallelized Stochastic Gradient
//           Descent (NIPS).
// Rule:     x <- Opt(x, g) every step, from one start; when the data have
//           ended:
//             c <- sum_i b_i*x_i / sum_i b_i
// Symbols:  x_i the replicas, c shard.center, b_i the samples of each; vectors
//           are [P] float32.
// Errors:   whatever Link returns.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): the mean, like the rest.
// Cost:     one exchange in all; the servers keep its pushes: workers x model
//           bytes.
// Departs:  the mean is weighted by samples, which are the same number for all
//           in the paper.
#include "trainers/delta_trainer.h"

namespace monsoon {
namespace {

class Averaging final : public RoundTrainer {
 public:
  explicit Averaging(Hyperparameters&) : RoundTrainer(kUnbounded) {}
};

REGISTER_TRAINER("averaging", Averaging,
                 {.title = "one mean of the replicas at the end",
                  .equation = "at the end, all workers: c <- mean x",
                  .source = "Zinkevich, Weimer, Smola, Li 2010, NIPS",
                  .optimizer = "nesterov",
                  .lr = 0.02f});

}  // namespace
}  // namespace monsoon
