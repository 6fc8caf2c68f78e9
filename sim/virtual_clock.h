// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace monsoon {

class Fiber;

// Time that passes only when everybody waits, so that what many actors and late
// messages do meets in an order that is the same in every run. The actors of
// Run take turns on its thread, each on a stack of its own (sim/fiber.h): one
// runs until it waits for an event of this clock, then the next in the order of
// what happens first. For the thread of Run alone, clock and events.
class VirtualClock final : public Clock {
 public:
  // Aborts when more than `limit` passes: what is tested goes on for ever.
  explicit VirtualClock(absl::Duration limit) : limit_(limit) {}

  absl::Time Now() const override { return now_; }
  // Only actors of Run may wait for it, unless it is up or the time has come.
  std::unique_ptr<Event> NewEvent() override;

  // Calls `action` once `delay` has passed, while no actor runs.
  void After(absl::Duration delay, std::function<void()> action);
  // Runs `actors`, in turns, until all have returned and nothing is to happen
  // any more. Aborts when all wait for something that never comes.
  void Run(const std::vector<std::function<void()>>& actors);

 private:
  class VirtualEvent;
  // What is to happen: an action, or an actor's turn.
  struct Entry {
    std::function<void()> action;
    Fiber* actor = nullptr;
  };
  using Key = std::pair<absl::Time, int64_t>;  // when, then first come

  Key Add(absl::Duration delay, Entry entry);

  const absl::Duration limit_;
  absl::Time now_ = absl::UnixEpoch();
  int64_t entries_ = 0;  // so far
  std::map<Key, Entry> queue_;
  Fiber* running_ = nullptr;
};

}  // namespace monsoon
