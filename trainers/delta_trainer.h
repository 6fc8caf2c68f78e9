// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "trainers/trainer.h"

namespace monsoon {

// Pushes the way that x has gone since the center came, divided by `steps`, and
// goes on from the center that is answered. The update lies in the memory of
// the kept center on its way; x and the center are undefined where it fails.
absl::Status ExchangeWay(Replica& r, Link& link, float steps = 1,
                         float weight = 1, Freshness need = {});

// The worker half that most trainers share: local steps of any optimizer, and
// every `window` of them one PushPull of the way gone since the center came,
// divided by Divisor, with which the worker goes on from the center that is
// answered. Costs P floats each way per window; the replica keeps the center,
// in whose memory the update lies on its way. Server half: center += value.
class DeltaTrainer : public Trainer {
 public:
  Traits traits() const override {
    return {.pushes = Payload::kDelta, .replies = Payload::kCenter, .reach = 1};
  }
  bool Due(const Replica& r) const override { return r.pending >= window_; }
  absl::Status Exchange(Replica& r, Link& link) const override;

 protected:
  explicit DeltaTrainer(int64_t window, Freshness need = {})
      : window_(window), need_(need) {}
  // The key `window`, as every trainer has it.
  static int64_t Window(
      Hyperparameters& hyper, int64_t fallback,
      const std::string& help = "local steps between exchanges");

  virtual float Divisor(const Replica&) const { return 1; }
  // Of the update, in the mean of a round.
  virtual float Weight(const Replica&) const { return 1; }
  int64_t window() const { return window_; }

 private:
  const int64_t window_;
  const Freshness need_;
};

// The same in rounds: every living worker pushes and waits for the others, the
// server half gets the mean, weighted by samples, and a push that comes too
// late for its round is refused. With the default server half it is the mean
// of the replicas.
class RoundTrainer : public DeltaTrainer {
 public:
  Traits traits() const override {
    Traits traits = DeltaTrainer::traits();
    traits.synchronous = true;
    return traits;
  }
  int Quorum(int64_t, absl::Span<const int> live) const override {
    return static_cast<int>(live.size());
  }
  float Discount(const Update& update) const override {
    return update.staleness > 0 ? 0 : 1;
  }

 protected:
  explicit RoundTrainer(int64_t window) : DeltaTrainer(window, {.rounds = 1}) {}
  float Weight(const Replica& r) const override {
    return static_cast<float>(r.pending_samples);
  }
};

}  // namespace monsoon
