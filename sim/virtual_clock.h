// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"

namespace monsoon {

// Time that passes only when everybody waits, for tests in which several
// threads and late messages meet in an order that is the same in every run. The
// threads of Run take turns: one runs until it waits for an event of this
// clock, then the next in the order of what happens first. Thread-safe.
class VirtualClock final : public Clock {
 public:
  // Aborts when more than `limit` passes: what is tested goes on for ever.
  explicit VirtualClock(absl::Duration limit) : limit_(limit) {}

  absl::Time Now() const override;
  // Only threads of Run may wait for it.
  std::unique_ptr<Event> NewEvent() override;

  // Calls `action` once `delay` has passed, on the thread of whoever waits
  // then.
  void After(absl::Duration delay, std::function<void()> action);
  // Runs each of `actors` on a thread of its own, in turns, until all have
  // returned and nothing is to happen any more. Aborts when all wait for
  // something that never comes.
  void Run(const std::vector<std::function<void()>>& actors);

 private:
  class VirtualEvent;
  // What is to happen: an action, or an actor's turn.
  struct Entry {
    std::function<void()> action;
    int actor = 0;
  };
  using Key = std::pair<absl::Time, int64_t>;  // when, then first come

  Key Add(absl::Duration delay, Entry entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Lets happen what is next, up to somebody's turn, which it returns with the
  // event to raise; null: it is `self`'s own.
  Event* Next(int self);
  // Lets the others go on until it is the caller's turn again.
  void Yield();
  // The actor that runs has returned.
  void End();

  const absl::Duration limit_;
  mutable absl::Mutex mu_;
  absl::Time now_ ABSL_GUARDED_BY(mu_) = absl::UnixEpoch();
  int64_t entries_ ABSL_GUARDED_BY(mu_) = 0;  // so far
  std::map<Key, Entry> queue_ ABSL_GUARDED_BY(mu_);
  int running_ ABSL_GUARDED_BY(mu_) = -1;  // which actor
  size_t unfinished_ ABSL_GUARDED_BY(mu_) = 0;
  // By actor: raised when its turn comes. The last is that of Run, at the end.
  std::vector<std::unique_ptr<Event>> turns_ ABSL_GUARDED_BY(mu_);
};

}  // namespace monsoon
