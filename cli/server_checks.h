// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "cli/check.h"
#include "transport/address.h"

namespace monsoon {

// What `monsoon doctor` says of servers: their name, the way to them, what they
// answer, version, round trip and bandwidth. All are reached for at once, so
// what is dead costs `timeout` once; then one after the other is measured.
//
// No server notices: bandwidth is measured where there is no job, by Probe,
// until one comes. `clock` outlives the call.
Checks CheckServers(const std::vector<Address>& servers, absl::Duration timeout,
                    Clock& clock);

}  // namespace monsoon
