// SPDX-License-Identifier: Apache-2.0
// SSP: stale-synchronous parallel.
//
// Source:   Ho et al. 2013, More Effective Distributed ML via a Stale
//           Synchronous Parallel Parameter Server (NIPS).
// Rule:     every `window` steps, which are one clock of a worker:
//             c <- c + (x - c'),  x <- c
//           answered when the worker's clock is at most `max_lead` ahead of the
//           slowest living worker's.
// Symbols:  x replica.x, c shard.center, c' the center as the worker last
//           pulled it; all [P] float32. s of the paper is max_lead.
// Units:    `window` in local steps, `max_lead` in clocks: exchanges that the
//           worker has done, less those of the slowest. 0 is a barrier at each.
// Errors:   whatever Link returns; x and c' are then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): the mean over the workers of their deltas is added.
// Cost:     see DeltaTrainer.
// Departs:  a worker reads the center at each clock, where the paper lets it
//           read its own cache while that is fresh enough: so it sees at least
//           what the paper guarantees, at one pull a clock. Who has ended, or
//           fallen silent, holds nobody back.
#include "trainers/delta_trainer.h"

namespace monsoon {
namespace {

class Ssp final : public DeltaTrainer {
 public:
  explicit Ssp(Hyperparameters& hyper)
      : DeltaTrainer(
            Window(hyper, 1, "local steps of one clock"),
            {.max_lead = hyper.Count("max_lead", 3, 0,
                                     "clocks by which a worker may be ahead "
                                     "of the slowest")}) {}
};

REGISTER_TRAINER("ssp", Ssp,
                 {.title = "stale-synchronous parallel",
                  .equation = "every window, at most max_lead ahead of the "
                              "slowest: c <- c + (x - c'), x <- c",
                  .source = "Ho et al. 2013, NIPS",
                  .optimizer = "sgd",
                  .lr = 0.05f});

}  // namespace
}  // namespace monsoon
