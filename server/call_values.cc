// SPDX-License-Identifier: Apache-2.0
#include "server/call_values.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/device_queue.h"
#include "base/status_macros.h"
#include "trainers/elements.h"
#include "trainers/server_elements.h"

namespace monsoon {
namespace {

// Of float16, the code with the smallest range.
constexpr float kLargestHalf = 65504;

}  // namespace

absl::Status CallValues::Take(const ExchangeCall& call, float& largest) {
  if (IsReady(call, shard_.center.queue())) return absl::OkStatus();
  if (taken_.empty()) taken_ = Flat(shard_.center.size(), shard_.memory());
  const int worker = call.request.worker();
  if (call.request.coded()) {
    const absl::Status decoded = codes_.push.Decode(call.update, taken_);
    if (!decoded.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(Sender(worker, index_), "the coded update is corrupt: ",
                       decoded.message(), "; nothing was applied"));
    }
  } else {
    taken_.queue()->Copy(taken_.data(), call.update.data(), call.update.size());
  }
  ASSIGN_OR_RETURN(largest, CheckValues(taken_, worker, index_));
  return absl::OkStatus();
}

const Flat CallValues::Of(const ExchangeCall& call) const {
  if (IsReady(call, shard_.center.queue())) {
    return Flat::View(AsFloats(call.update).data(), shard_.center.size());
  }
  return Flat::View(taken_.data(), taken_.size(), taken_.queue());
}

void CallValues::Send(const Flat& values, double bound, Flat* seen,
                      ExchangeCall& call) {
  if (call.request.coded_reply()) return SendCoded(values, bound, seen, call);
  const size_t bytes = static_cast<size_t>(values.size()) * sizeof(float);
  const absl::Span<char> buffer = call.ReplyBuffer(bytes);
  if (values.queue() != nullptr) {
    values.queue()->Copy(buffer.data(), values.data(), bytes);
  } else if (is_mapped_) {
    Flat::View(AsFloats(buffer).data(), values.size()).CopyFromShared(values);
  } else {
    std::memcpy(buffer.data(), values.data(), bytes);
  }
  if (seen != nullptr) seen->CopyFrom(shard_.center);
}

void CallValues::SendCoded(const Flat& values, double bound, Flat* seen,
                           ExchangeCall& call) {
  const absl::Span<char> buffer = call.ReplyBuffer(codes_.reply.bytes());
  Flat& lost = Lost(call.request, values);
  codes_.reply.Encode(values, lost, buffer);
  // What lies beyond a code's range is lost at every reply: it must not add up.
  if (!(bound < kLargestHalf)) {
    ForEach(ForgetLarge{kLargestHalf}, lost, values);
  }
  if (seen != nullptr) codes_.reply.Decode(buffer, *seen).IgnoreError();
}

Flat& CallValues::Lost(const pb::ExchangeRequest& request, const Flat& values) {
  const bool is_kept = &values == &shard_.center && request.worker() >= 0;
  if (is_kept) return shard_.slot("reply_residual");
  if (lost_.empty()) lost_ = Flat(shard_.center.size(), shard_.memory());
  ForEach(SetTo{0}, lost_);
  return lost_;
}

}  // namespace monsoon
