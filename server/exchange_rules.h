// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "trainers/wire.h"
#include "transport/server_calls.h"

namespace monsoon {

// What follows from a request alone.
bool Pushes(const pb::ExchangeRequest& request);
bool Pulls(const pb::ExchangeRequest& request);
// A pull that may have to wait, beyond the first center.
bool Waits(const pb::ExchangeRequest& request);

// "worker 1, shard 3: ", in front of what is wrong with its call.
std::string Sender(int worker, int shard);

// How a shard's values travel where a request says that they are coded.
struct ShardCodes {
  ShardCode push, reply;
};

// Checks a call for shard `index`, which has `size` floats, in a GPU's memory
// if it `is_on_device`, without looking at the shard or at the values:
// INVALID_ARGUMENT for a wrong number of bytes, a bad weight or count, a code
// that the job does not have, values in a GPU's memory for a shard that is not.
absl::Status CheckRequest(const ExchangeCall& call, int index, int64_t size,
                          const ShardCodes& codes, bool is_on_device);
// The version of the center that the worker goes by is one that the shard has
// had: INVALID_ARGUMENT.
absl::Status CheckBase(const pb::ExchangeRequest& request, int index,
                       int64_t version);
// The largest magnitude of an update, or INVALID_ARGUMENT when one of its
// values is not finite.
absl::StatusOr<float> CheckValues(const Flat& update, int worker, int index);
// NOT_FOUND: the worker whose result an observer asks for has handed in none.
absl::Status NoResult(const pb::ExchangeRequest& request, int index);
// What calls for shard `index` get where its device has failed like this: not
// UNAVAILABLE, which workers would repeat.
absl::Status DeviceFailed(const absl::Status& why, int index);
// OUT_OF_RANGE: the update, whose largest magnitude is `largest`, would make
// the center infinite.
absl::Status Diverges(int worker, int index, double largest);

}  // namespace monsoon
