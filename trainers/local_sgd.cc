// SPDX-License-Identifier: Apache-2.0
// Local SGD: rounds of local steps, and the mean of the replicas.
//
// Source:   Stich 2019, Local SGD Converges Fast and Communicates Little (ICLR,
//           arXiv:1805.09767).
// Rule:     x <- Opt(x, g) every step; every `window` steps, all workers:
//             c <- c + sum_i b_i*(x_i - c) / sum_i b_i,  x <- c
// Symbols:  x_i the replicas, c shard.center, b_i the samples of the round;
//           vectors are [P] float32. The mean is taken in the order of ranks.
// Units:    `window` in local steps.
// Errors:   whatever Link returns; x and the kept center are then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): the mean, like the rest.
// Cost:     see RoundTrainer; the servers keep the pushes of a round: workers x
//           model bytes.
// Departs:  what the local optimizer remembers stays with its worker, and is
//           not averaged.
#include "trainers/delta_trainer.h"

namespace monsoon {
namespace {

class LocalSgd final : public RoundTrainer {
 public:
  explicit LocalSgd(Hyperparameters& hyper) : RoundTrainer(Window(hyper, 16)) {}
};

REGISTER_TRAINER("local_sgd", LocalSgd,
                 {.title = "rounds of local steps, then the mean",
                  .equation = "every window, all workers: c <- mean x, x <- c",
                  .source = "Stich 2019, ICLR, arXiv:1805.09767",
                  .optimizer = "nesterov",
                  .lr = 0.05f});

}  // namespace
}  // namespace monsoon
