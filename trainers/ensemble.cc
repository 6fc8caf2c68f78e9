// SPDX-License-Identifier: Apache-2.0
// Ensemble: independent models, whose predictions are averaged.
//
// Source:   Hansen, Salamon 1990, Neural network ensembles (IEEE TPAMI 12).
// Rule:     x_i <- Opt(x_i, g) every step, each from a start of its own; a
//           prediction is the mean of the members' softmax outputs.
// Symbols:  x_i the replicas; [P] float32.
// Errors:   whatever Link returns.
// Threads:  immutable, safe from any thread; the server half runs under the
//           shard's lock and does not block.
// Statistics (batch norm): each member's own.
// Cost:     one pull of P floats at the start, which only waits for the job to
//           begin, and one push at the end; the servers keep the members, in
//           the slots "member/<worker>": workers x model bytes.
// Departs:  each member learns from its worker's share of the data, as in
//           dist-keras, so that all together see every sample once an epoch.
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "trainers/trainer.h"

namespace monsoon {
namespace {

class Ensemble final : public Trainer {
 public:
  explicit Ensemble(Hyperparameters&) {}

  Traits traits() const override {
    return {.pushes = Payload::kParameters,
            .result = Result::kReplicas,
            .reach = 0};
  }
  absl::Status Start(Replica& r, Link& link) const override {
    return link.Pull(r.gradient);  // x keeps the worker's own start
  }
  bool Due(const Replica&) const override { return false; }
  absl::Status Exchange(Replica& r, Link& link) const override {
    return link.Push(r.x);
  }
  void Apply(const Update& update, Shard& shard) const override {
    shard.slot("member", update.worker).CopyFrom(update.value);
  }
  const Flat* ReplicaOf(int worker, const Shard& shard) const override {
    return shard.slots.find(absl::StrCat("member/", worker));
  }
};

REGISTER_TRAINER("ensemble", Ensemble,
                 {.title = "independent models, predictions averaged",
                  .equation = "x_i <- Opt(x_i, g); prediction = mean_i "
                              "softmax_i",
                  .source = "Hansen, Salamon 1990, IEEE TPAMI",
                  .optimizer = "nesterov",
                  .lr = 0.05f});

}  // namespace
}  // namespace monsoon
