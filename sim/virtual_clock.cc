// SPDX-License-Identifier: Apache-2.0
#include "sim/virtual_clock.h"

#include <optional>

#include "base/check.h"
#include "sim/fiber.h"

namespace monsoon {

class VirtualClock::VirtualEvent final : public Event {
 public:
  explicit VirtualEvent(VirtualClock& clock) : clock_(clock) {}

  void Set() override {
    set_ = true;
    for (const Waiter& waiter : waiters_) {
      if (waiter.deadline) clock_.queue_.erase(*waiter.deadline);
      clock_.Add(absl::ZeroDuration(), {.actor = waiter.actor});
    }
    waiters_.clear();
  }

  void Reset() override { set_ = false; }

  bool Wait(absl::Time deadline) override {
    if (set_ || deadline <= clock_.now_) return set_;
    Fiber* const self = clock_.running_;
    MONSOON_CHECK(self != nullptr, "an actor waits");
    Waiter waiter{.actor = self};
    if (deadline != absl::InfiniteFuture()) {
      waiter.deadline = clock_.Add(deadline - clock_.now_, {.actor = self});
    }
    waiters_.push_back(waiter);
    self->Pause();
    std::erase_if(waiters_, [&](const Waiter& w) { return w.actor == self; });
    return set_;
  }

 private:
  struct Waiter {
    Fiber* actor = nullptr;
    std::optional<Key> deadline;
  };

  VirtualClock& clock_;
  bool set_ = false;
  std::vector<Waiter> waiters_;
};

std::unique_ptr<Event> VirtualClock::NewEvent() {
  return std::make_unique<VirtualEvent>(*this);
}

VirtualClock::Key VirtualClock::Add(absl::Duration delay, Entry entry) {
  const Key key{now_ + delay, entries_++};
  queue_.emplace(key, std::move(entry));
  return key;
}

void VirtualClock::After(absl::Duration delay, std::function<void()> action) {
  Add(delay, {.action = std::move(action)});
}

void VirtualClock::Run(const std::vector<std::function<void()>>& actors) {
  std::map<Fiber*, std::unique_ptr<Fiber>> fibers;
  for (const auto& actor : actors) {
    auto fiber = std::make_unique<Fiber>(actor);
    Add(absl::ZeroDuration(), {.actor = fiber.get()});
    fibers[fiber.get()] = std::move(fiber);
  }
  while (!queue_.empty()) {
    auto next = queue_.extract(queue_.begin());
    now_ = next.key().first;
    MONSOON_CHECK(now_ - absl::UnixEpoch() <= limit_, "it comes to an end");
    Entry& entry = next.mapped();
    if (entry.action) {
      entry.action();
      continue;
    }
    running_ = entry.actor;
    running_->Resume();
    if (running_->done()) fibers.erase(running_);
    running_ = nullptr;
  }
  MONSOON_CHECK(fibers.empty(), "somebody waits for what never comes");
}

}  // namespace monsoon
