// SPDX-License-Identifier: Apache-2.0
// DynSGD: updates worth less the staler they are.
//
// Source:   Jiang, Cui, Zhang, Yu 2017, Heterogeneity-aware Distributed
//           Parameter Servers (SIGMOD), as dist-keras and Hermans' thesis read
//           it.
// Rule:     every `window` steps:
//             c <- c + (x - c') / (tau + 1),  x <- c
// Symbols:  x replica.x, c shard.center, c' the center as the worker last
//           pulled it, tau update.staleness, in rounds of the shard; vectors
//           are [P] float32.
// Units:    `window` in local steps.
// Errors:   whatever Link returns; x and c' are then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): the mean over the workers of their deltas,
//           discounted like the rest.
// Cost:     see DeltaTrainer.
// Departs:  the paper's staleness is that of clocks, and its servers keep the
//           updates of a clock and merge them as they come; here, as in what
//           others have called DynSGD since, it is that of versions, counted
//           under the shard's lock.
#include "trainers/delta_trainer.h"

namespace monsoon {
namespace {

class DynSgd final : public DeltaTrainer {
 public:
  explicit DynSgd(Hyperparameters& hyper) : DeltaTrainer(Window(hyper, 5)) {}

  float Discount(const Update& update) const override {
    return 1.0f / static_cast<float>(update.staleness + 1);
  }
};

REGISTER_TRAINER("dynsgd", DynSgd,
                 {.title = "updates discounted by their staleness",
                  .equation = "every window: c <- c + (x - c')/(tau + 1), "
                              "x <- c",
                  .source = "Jiang, Cui, Zhang, Yu 2017, SIGMOD, in "
                            "dist-keras' form",
                  .optimizer = "nesterov",
                  .lr = 0.05f});

}  // namespace
}  // namespace monsoon
