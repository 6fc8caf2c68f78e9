// SPDX-License-Identifier: Apache-2.0
#include "tests/trainers/turn_clock.h"

#include <utility>

#include "base/check.h"

namespace monsoon {

class TurnClock::TurnEvent final : public Event {
 public:
  explicit TurnEvent(TurnClock& clock) : clock_(clock) {}

  void Set() override {
    {
      absl::MutexLock lock(&clock_.mu_);
      is_set_ = true;
      clock_.running_ += waiting_;
      waiting_ = 0;
    }
    flag_->Set();
  }
  void Reset() override {
    absl::MutexLock lock(&clock_.mu_);
    is_set_ = false;
    flag_->Reset();
  }
  bool Wait(absl::Time deadline) override {
    {
      absl::MutexLock lock(&clock_.mu_);
      if (is_set_) return true;
      ++waiting_;
      clock_.EndLocked();
    }
    flag_->Wait(deadline);
    absl::MutexLock lock(&clock_.mu_);
    if (!is_set_) {  // its time is over, and nobody counts it as running
      --waiting_;
      ++clock_.running_;
    }
    return is_set_;
  }

 private:
  TurnClock& clock_;
  const std::unique_ptr<Event> flag_ = RealClock().NewEvent();
  // Under the clock's lock:
  bool is_set_ = false;
  int waiting_ = 0;
};

std::unique_ptr<Event> TurnClock::NewEvent() {
  return std::make_unique<TurnEvent>(*this);
}

void TurnClock::EndLocked() {
  if (--running_ == 0) idle_->Set();
}

TurnClock::Actor::Actor(TurnClock& clock)
    : clock_(clock), go_(RealClock().NewEvent()), thread_([this] { Run(); }) {}

TurnClock::Actor::~Actor() {
  action_ = nullptr;
  go_->Set();
  thread_.join();
}

void TurnClock::Actor::Run() {
  while (true) {
    go_->Wait(absl::InfiniteFuture());
    go_->Reset();
    if (!action_) return;
    action_();
    absl::MutexLock lock(&clock_.mu_);
    is_busy_ = false;
    clock_.EndLocked();
  }
}

void TurnClock::Actor::Act(std::function<void()> action) {
  {
    absl::MutexLock lock(&clock_.mu_);
    MONSOON_CHECK(!is_busy_ && clock_.running_ == 0, "one acts at a time");
    is_busy_ = true;
    clock_.running_ = 1;
  }
  action_ = std::move(action);
  clock_.idle_->Reset();
  go_->Set();
  clock_.idle_->Wait(absl::InfiniteFuture());
}

bool TurnClock::Actor::is_busy() const {
  absl::MutexLock lock(&clock_.mu_);
  return is_busy_;
}

}  // namespace monsoon
