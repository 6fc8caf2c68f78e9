// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "transport/server_calls.h"

namespace monsoon {

// What follows from a request alone.
bool Pushes(const pb::ExchangeRequest& request);
bool Pulls(const pb::ExchangeRequest& request);
// A pull that may have to wait, beyond the first center.
bool Waits(const pb::ExchangeRequest& request);

// "worker 1, shard 3: ", in front of what is wrong with its call.
std::string Sender(int worker, int shard);

// Checks a call for shard `index`, which has `size` floats, without looking at
// the shard: INVALID_ARGUMENT for a wrong number of floats, one that is not
// finite, a bad weight or count. Else the largest magnitude of its update.
absl::StatusOr<float> CheckExchange(const ExchangeCall& call, int index,
                                    int64_t size);

}  // namespace monsoon
