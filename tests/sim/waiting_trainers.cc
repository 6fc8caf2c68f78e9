// SPDX-License-Identifier: Apache-2.0
// Trainers for tests, registered under names that begin with "test_": with
// barriers of both kinds, and one whose sums are whole numbers.
#include "base/status_macros.h"
#include "trainers/trainer.h"

namespace monsoon {
namespace {

// A window's steps, then whatever Freshness says.
class Waiting : public Trainer {
 public:
  explicit Waiting(Hyperparameters& hyper)
      : window_(hyper.Count("window", 2, 1, "steps between exchanges")) {}

  Traits traits() const override {
    return {.pushes = Payload::kDelta, .replies = Payload::kCenter};
  }
  bool Due(const Replica& r) const override { return r.pending >= window_; }
  absl::Status Exchange(Replica& r, Link& link) const override {
    Flat& way = r.TakeWay();
    RETURN_IF_ERROR(link.PushPull(way, way, 1, Need()));
    r.x.CopyFrom(way);
    return absl::OkStatus();
  }
  virtual Freshness Need() const { return {}; }

 private:
  const int64_t window_;
};

// Each round has a push of everybody.
class Rounds final : public Waiting {
 public:
  using Waiting::Waiting;
  Traits traits() const override {
    Traits traits = Waiting::traits();
    traits.synchronous = true;
    return traits;
  }
  Freshness Need() const override { return {.rounds = 1}; }
  int Quorum(int64_t, absl::Span<const int> live) const override {
    return std::max(1, static_cast<int>(live.size()));
  }
};

// Nobody is more than two pushes ahead of the slowest.
class Bounded final : public Waiting {
 public:
  using Waiting::Waiting;
  Freshness Need() const override { return {.max_lead = 2}; }
};

// Pushes its samples as a number, at the place of its rank: the center is the
// sum of all that has reached it, exactly. Windows differ from one to the next.
class Integers final : public Trainer {
 public:
  explicit Integers(Hyperparameters&) {}

  Traits traits() const override {
    return {.pushes = Payload::kDelta, .replies = Payload::kCenter};
  }
  bool Due(const Replica& r) const override {
    return r.pending >= 1 + r.step % 3;
  }
  absl::Status Exchange(Replica& r, Link& link) const override {
    Flat update(r.x.size());
    update[r.worker % update.size()] = static_cast<float>(r.pending_samples);
    return link.PushPull(update, r.x);
  }
};

REGISTER_TRAINER("test_rounds", Rounds, {.title = "rounds"});
REGISTER_TRAINER("test_bounded", Bounded, {.title = "a bounded lead"});
REGISTER_TRAINER("test_integers", Integers, {.title = "sums of samples"});

}  // namespace
}  // namespace monsoon
