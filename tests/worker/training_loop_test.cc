// SPDX-License-Identifier: Apache-2.0
#include "worker/training_loop.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/hand_clock.h"
#include "trainers/optimizer.h"

namespace monsoon {
namespace {

// A device that computes behind: a step is enqueued in 1 s and done after 10.
class BehindSource final : public GradientSource {
 public:
  explicit BehindSource(HandClock& clock) : clock_(clock) {}

  int Next() override { return 1; }
  Losses Gradient(Flat&, const GradientSink& sink) override {
    clock_.now += absl::Seconds(1);
    done_ = std::max(done_, clock_.now) + absl::Seconds(10);
    if (sink.listener != nullptr) sink.listener->Take(0, sink.into);
    return {};
  }
  void CatchUp() override { clock_.now = std::max(clock_.now, done_); }

 private:
  HandClock& clock_;
  absl::Time done_ = absl::UnixEpoch();
};

// Every exchange takes 3 s once the device is done.
class SlowLink final : public Link {
 public:
  SlowLink(HandClock& clock, BehindSource& source)
      : clock_(clock), source_(source) {}

  absl::Status Pull(Flat&, Freshness) override { return absl::OkStatus(); }
  absl::Status Push(const Flat&, float) override { return Exchange(); }
  absl::Status PushPull(const Flat&, Flat&, float, Freshness) override {
    return Exchange();
  }

 private:
  absl::Status Exchange() {
    source_.CatchUp();
    clock_.now += absl::Seconds(3);
    return absl::OkStatus();
  }

  HandClock& clock_;
  BehindSource& source_;
};

TEST_CASE("What a device computes is no time of the exchange after it") {
  const auto made = MakeTrainer("downpour", {{"window", "2"}}, {});
  REQUIRE(made.ok());
  const auto optimizer = MakeOptimizer("sgd", 0.1F);
  REQUIRE(optimizer.ok());
  Replica replica(0, 4, **optimizer);
  HandClock clock;
  BehindSource source(clock);
  SlowLink link(clock, source);
  TrainingLoop loop(*made->trainer, replica, link, source, clock);
  REQUIRE(loop.Start().ok());
  REQUIRE(loop.Next().ok());
  // Not due: the host goes ahead of the device.
  CHECK(loop.times().compute == absl::Seconds(1));
  REQUIRE(loop.Next().ok());
  CHECK(loop.times().compute == absl::Seconds(21));
  CHECK(loop.times().exchange == absl::Seconds(3));
}

}  // namespace
}  // namespace monsoon
