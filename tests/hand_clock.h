// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/clock.h"

namespace monsoon {

// Time that moves when told to.
class HandClock final : public Clock {
 public:
  absl::Time Now() const override { return now; }
  std::unique_ptr<Event> NewEvent() override { return RealClock().NewEvent(); }
  absl::Time now = absl::UnixEpoch();
};

}  // namespace monsoon
