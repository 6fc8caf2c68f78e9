// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <chrono>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace monsoon {
namespace {

class RealEvent final : public Event {
 public:
  // Whoever was woken may destroy the event while Set() has yet to return.
  ~RealEvent() override { absl::MutexLock lock(&mu_); }

  void Set() override {
    absl::MutexLock lock(&mu_);
    set_ = true;
  }

  void Reset() override {
    absl::MutexLock lock(&mu_);
    set_ = false;
  }

  bool Wait(absl::Time deadline) override {
    // Mutex waits count wall time; a duration survives a step of the wall
    // clock better than a wall time computed long ago would.
    const absl::Duration timeout = deadline - RealClock().Now();
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(absl::Condition(&set_), timeout);
  }

 private:
  absl::Mutex mu_;
  bool set_ ABSL_GUARDED_BY(mu_) = false;
};

class SteadyClock final : public Clock {
 public:
  absl::Time Now() const override {
    return absl::UnixEpoch() +
           absl::FromChrono(
               std::chrono::steady_clock::now().time_since_epoch());
  }
  std::unique_ptr<Event> NewEvent() override {
    return std::make_unique<RealEvent>();
  }
};

}  // namespace

Clock& RealClock() {
  static SteadyClock clock;
  return clock;
}

}  // namespace monsoon
