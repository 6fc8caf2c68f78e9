// SPDX-License-Identifier: Apache-2.0
#include "sim/virtual_clock.h"

#include <optional>
#include <thread>

#include "base/check.h"

namespace monsoon {

class VirtualClock::VirtualEvent final : public Event {
 public:
  explicit VirtualEvent(VirtualClock& clock) : clock_(clock) {}

  void Set() override {
    absl::MutexLock lock(&clock_.mu_);
    set_ = true;
    for (const Waiter& waiter : waiters_) {
      if (waiter.deadline) clock_.queue_.erase(*waiter.deadline);
      clock_.Add(absl::ZeroDuration(), {.actor = waiter.actor});
    }
    waiters_.clear();
  }

  void Reset() override {
    absl::MutexLock lock(&clock_.mu_);
    set_ = false;
  }

  bool Wait(absl::Time deadline) override {
    int self = 0;
    {
      absl::MutexLock lock(&clock_.mu_);
      if (set_ || deadline <= clock_.now_) return set_;
      self = clock_.running_;
      Waiter waiter{.actor = self};
      if (deadline != absl::InfiniteFuture()) {
        waiter.deadline = clock_.Add(deadline - clock_.now_, {.actor = self});
      }
      waiters_.push_back(waiter);
    }
    clock_.Yield();
    absl::MutexLock lock(&clock_.mu_);
    std::erase_if(waiters_, [&](const Waiter& w) { return w.actor == self; });
    return set_;
  }

 private:
  struct Waiter {
    int actor = 0;
    std::optional<Key> deadline;
  };

  // All under the clock's lock.
  VirtualClock& clock_;
  bool set_ = false;
  std::vector<Waiter> waiters_;
};

absl::Time VirtualClock::Now() const {
  absl::MutexLock lock(&mu_);
  return now_;
}

std::unique_ptr<Event> VirtualClock::NewEvent() {
  return std::make_unique<VirtualEvent>(*this);
}

VirtualClock::Key VirtualClock::Add(absl::Duration delay, Entry entry) {
  const Key key{now_ + delay, entries_++};
  queue_.emplace(key, std::move(entry));
  return key;
}

void VirtualClock::After(absl::Duration delay, std::function<void()> action) {
  absl::MutexLock lock(&mu_);
  Add(delay, {.action = std::move(action)});
}

Event* VirtualClock::Next(int self) {
  while (true) {
    std::function<void()> action;
    {
      absl::MutexLock lock(&mu_);
      if (queue_.empty()) {
        MONSOON_CHECK(unfinished_ == 0, "somebody waits for what never comes");
        return turns_.back().get();
      }
      const auto next = queue_.extract(queue_.begin());
      now_ = next.key().first;
      MONSOON_CHECK(now_ - absl::UnixEpoch() <= limit_, "it comes to an end");
      action = next.mapped().action;
      if (!action) {
        running_ = next.mapped().actor;
        return running_ == self ? nullptr
                                : turns_[static_cast<size_t>(running_)].get();
      }
    }
    action();
  }
}

void VirtualClock::Yield() {
  Event* own = nullptr;
  int self = 0;
  {
    absl::MutexLock lock(&mu_);
    self = running_;
    auto& turn = turns_[static_cast<size_t>(self)];
    turn = RealClock().NewEvent();
    own = turn.get();
  }
  Event* other = Next(self);
  if (other == nullptr) return;
  other->Set();
  own->Wait(absl::InfiniteFuture());
}

void VirtualClock::End() {
  {
    absl::MutexLock lock(&mu_);
    --unfinished_;
  }
  Next(-1)->Set();
}

void VirtualClock::Run(const std::vector<std::function<void()>>& actors) {
  std::vector<std::thread> threads;
  Event* end = nullptr;
  {
    absl::MutexLock lock(&mu_);
    unfinished_ = actors.size();
    turns_.clear();
    for (size_t i = 0; i <= actors.size(); ++i) {
      turns_.push_back(RealClock().NewEvent());
    }
    end = turns_.back().get();
    for (size_t i = 0; i < actors.size(); ++i) {
      Event* turn = turns_[i].get();
      threads.emplace_back([this, turn, &actor = actors[i]] {
        turn->Wait(absl::InfiniteFuture());
        actor();
        End();
      });
      Add(absl::ZeroDuration(), {.actor = static_cast<int>(i)});
    }
  }
  Next(-1)->Set();
  end->Wait(absl::InfiniteFuture());
  for (std::thread& thread : threads) thread.join();
}

}  // namespace monsoon
