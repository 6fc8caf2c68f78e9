// SPDX-License-Identifier: Apache-2.0
// ADAG: accumulated gradient normalization.
//
// Source:   Hermans, Spanakis, Moeckel 2017 (arXiv:1710.02368); what the ADAG
//           of dist-keras computes. Neither the distance-based ADAG of
//           Hermans' thesis nor gradient energy matching (GEM).
// Rule:     every `window` steps, k of them pending:
//             u = (x - c) / k,  c <- c + u,  x <- c
// Symbols:  x replica.x, c shard.center (on the worker: as last pulled),
//           k replica.pending, u the update; all vectors [P] float32.
// Units:    `window` in local steps.
// Errors:   whatever Link returns; x and c are then undefined.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): the mean over the workers of their deltas is added
//           to c, not divided by k.
// Cost:     one PushPull of P floats each way per window; the replica keeps
//           the center, in whose memory the update lies then.
// Departs:  a last window that is not full is divided by the steps in it, not
//           by `window`, where dist-keras drops it.
#include "base/status_macros.h"
#include "trainers/trainer.h"

namespace monsoon {
namespace {

class Adag final : public Trainer {
 public:
  explicit Adag(Hyperparameters& hyper)
      : window_(hyper.Count("window", 12, 1,
                            "local steps between exchanges, which the update "
                            "is divided by")) {}

  Traits traits() const override {
    return {.pushes = Payload::kDelta, .replies = Payload::kCenter, .reach = 1};
  }
  bool Due(const Replica& r) const override { return r.pending >= window_; }

  absl::Status Exchange(Replica& r, Link& link) const override {
    Flat& center = r.TakeWay(static_cast<float>(r.pending));
    r.DropX();
    RETURN_IF_ERROR(link.PushPull(center, center));
    r.x.CopyFrom(center);
    return absl::OkStatus();
  }

 private:
  const int64_t window_;
};

REGISTER_TRAINER("adag", Adag,
                 {.title = "accumulated gradient normalization",
                  .equation = "every window: c <- c + (x - c)/steps, x <- c",
                  .source = "Hermans, Spanakis, Moeckel 2017, "
                            "arXiv:1710.02368",
                  .optimizer = "nesterov",
                  .lr = 0.1f});

}  // namespace
}  // namespace monsoon
