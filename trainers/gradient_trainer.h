// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "trainers/trainer.h"

namespace monsoon {

// The worker half of trainers whose rule lies on the servers: no local step;
// every gradient is pushed, clipped and with its decay, and the worker goes on
// from the center that is answered. Costs P floats each way per step, and no
// memory beyond the gradient.
class GradientTrainer : public Trainer {
 public:
  Traits traits() const override {
    return {.pushes = Payload::kGradient,
            .replies = Payload::kCenter,
            .synchronous = need_.rounds > 0,
            .local_step = LocalStep::kNone};
  }
  absl::Status Start(Replica& r, Link& link) const override;
  GradientSink Sink(Replica& r) const override { return {r.gradient}; }
  void AfterGradient(Replica& r) const override { r.PrepareGradient(); }
  absl::Status Exchange(Replica& r, Link& link) const override;

 protected:
  // The server half takes the mean of `in_mean` pushes, at most of all
  // workers'.
  explicit GradientTrainer(int64_t in_mean, Freshness need = {})
      : in_mean_(in_mean), need_(need) {}
  int64_t in_mean() const { return in_mean_; }

 private:
  const int64_t in_mean_;
  const Freshness need_;
};

}  // namespace monsoon
