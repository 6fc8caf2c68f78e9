// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/time/time.h"

namespace monsoon {

// A flag that threads can wait for: the only way in which this project blocks.
// Thread-safe. Made by a Clock.
class Event {
 public:
  virtual ~Event() = default;
  // Raises the flag, until it is lowered, and wakes all who wait.
  virtual void Set() = 0;
  // Lowers the flag, so that one event serves again and again. REQUIRES: nobody
  // waits, and whoever was to raise it has done so.
  virtual void Reset() = 0;
  // Waits until the flag is up or `deadline` has passed; returns the flag.
  // Never call it with a lock held.
  virtual bool Wait(absl::Time deadline) = 0;
};

}  // namespace monsoon
