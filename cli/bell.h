// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace monsoon {

// An event that can be waited for again and again: how whoever supervises
// learns that something has changed. Any thread rings, one thread waits.
class Bell {
 public:
  explicit Bell(Clock& clock) : clock_(clock), event_(clock.NewEvent()) {}

  void Ring() {
    absl::MutexLock lock(&mu_);
    event_->Set();
  }

  // Waits until it rings or `deadline` has passed. True: it has rung since the
  // last Wait that said so; look at everything that it may stand for.
  bool Wait(absl::Time deadline) {
    Event* event = nullptr;
    {
      absl::MutexLock lock(&mu_);
      event = event_.get();
    }
    if (!event->Wait(deadline)) return false;
    absl::MutexLock lock(&mu_);
    event_ = clock_.NewEvent();
    return true;
  }

 private:
  Clock& clock_;
  absl::Mutex mu_;
  std::unique_ptr<Event> event_ ABSL_GUARDED_BY(mu_);
};

}  // namespace monsoon
