// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"

namespace monsoon {

// A clock that knows when everybody waits: a test lets one of several workers
// act until it is done or waits for another, and goes on. Thread-safe.
class TurnClock final : public Clock {
 public:
  absl::Time Now() const override { return RealClock().Now(); }
  std::unique_ptr<Event> NewEvent() override;

  // A thread that does one thing after the other, as it is told.
  class Actor {
   public:
    explicit Actor(TurnClock& clock);
    // REQUIRES: it is not busy.
    ~Actor();

    // Returns when `action` has returned, or waits for an event of the clock,
    // and with it everybody whom it woke. REQUIRES: it is not busy.
    void Act(std::function<void()> action);
    // What it was told last has not returned yet.
    bool is_busy() const;

   private:
    void Run();

    TurnClock& clock_;
    const std::unique_ptr<Event> go_;
    std::function<void()> action_;
    bool is_busy_ = false;  // under the clock's lock
    std::thread thread_;    // last: it uses all of the above
  };

 private:
  class TurnEvent;

  void EndLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  int running_ ABSL_GUARDED_BY(mu_) = 0;
  const std::unique_ptr<Event> idle_ = RealClock().NewEvent();
};

}  // namespace monsoon
