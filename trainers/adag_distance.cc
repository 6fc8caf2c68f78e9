// SPDX-License-Identifier: Apache-2.0
// Distance-based ADAG: updates fade where the center has moved meanwhile.
//
// Source:   Hermans 2017, On scalable deep learning and parallelizing gradient
//           descent, master thesis, chapter on adaptive gradients; the class
//           Experimental of dist-keras.
// Rule:     every `window` steps, k of them pending, element by element:
//             u = (x - c') / k
//             c <- c + u / (1 + (c - c')^2 / gamma),  x <- c
//           and with normalize=false u = x - c'.
// Symbols:  x replica.x, c shard.center, c' the center from which the worker
//           started (shard.seen(worker), which the servers keep), k
//           replica.pending; all [P] float32.
// Units:    `window` in local steps; gamma in squared parameters: at a distance
//           of sqrt(gamma) half of an update is left.
// Errors:   whatever Link returns; x and c' are then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): as adag; they do not fade.
// Cost:     as adag, and workers x model bytes on the servers.
// Departs:  the thesis has both forms, with k (there ADAG-AGN) and without; the
//           first is the default. A last window is divided by its own steps.
#include "trainers/delta_trainer.h"
#include "trainers/server_elements.h"
#include "trainers/server_rule.h"

namespace monsoon {
namespace {

class AdagDistance final : public DeltaTrainer {
 public:
  explicit AdagDistance(Hyperparameters& hyper)
      : DeltaTrainer(Window(hyper, 12)),
        gamma_(static_cast<float>(hyper.Number(
            "gamma", 1e-4, {.min = 0, .min_open = true},
            "squared distance of the center at which half of an update is "
            "left"))),
        normalizes_(hyper.Toggle("normalize", true,
                                 "divide the update by its steps, as adag")) {}

  Traits traits() const override {
    Traits traits = DeltaTrainer::traits();
    traits.keeps_seen = true;
    return traits;
  }

  void Apply(const Update& update, Shard& shard) const override {
    Flat c = shard.center.Slice(0, shard.parameters);
    const Flat u = update.value.Slice(0, shard.parameters);
    const Flat seen = shard.seen(update.worker).Slice(0, shard.parameters);
    ForEach(FadeByDistance{gamma_}, c, u, seen);
    AddStatistics(update, shard);
  }

 protected:
  float Divisor(const Replica& r) const override {
    return normalizes_ ? static_cast<float>(r.pending) : 1;
  }

 private:
  const float gamma_;
  const bool normalizes_;
};

REGISTER_TRAINER("adag_distance", AdagDistance,
                 {.title = "ADAG by the distance that the center has moved",
                  .equation = "every window: u = (x - c')/steps, c <- c + "
                              "u/(1 + (c - c')^2/gamma), x <- c",
                  .source = "Hermans 2017, master thesis; dist-keras "
                            "Experimental",
                  .optimizer = "nesterov",
                  .lr = 0.1f});

}  // namespace
}  // namespace monsoon
