// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "base/event.h"

namespace monsoon {

// Time and waiting, passed in and never reached for, so that a test or a
// simulator can replace both. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes backwards. Comparable only with other times of this clock.
  virtual absl::Time Now() const = 0;
  // An event whose waits pass this clock's time. The clock outlives it.
  virtual std::unique_ptr<Event> NewEvent() = 0;
};

// The machine's monotonic clock.
Clock& RealClock();

}  // namespace monsoon
