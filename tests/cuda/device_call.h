// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <catch2/catch.hpp>
#include <vector>

#include "base/device_queue.h"
#include "base/flat.h"
#include "tests/server/recorded_call.h"

namespace monsoon {

// A call whose values lie in a GPU's memory, by a queue of the caller's own: it
// keeps what is there when the server finishes it.
class DeviceCall final : public RecordedCall {
 public:
  // `floats` of the shard. `queue` outlives the call.
  DeviceCall(DeviceQueue& queue, int64_t floats, pb::ExchangeRequest::Kind kind,
             int worker, const std::vector<float>& values, uint64_t sequence)
      : RecordedCall(kind, 7, worker, {}, sequence),
        update_(static_cast<int64_t>(values.size()), queue),
        reply_(floats, queue) {
    is_on_device = true;
    update_.CopyFrom(Flat::View(values.data(), update_.size()));
    update = {reinterpret_cast<const char*>(update_.data()),
              values.size() * sizeof(float)};
    REQUIRE(queue.Wait().ok());
  }

  absl::Span<char> ReplyBuffer(size_t bytes) override {
    RecordedCall::ReplyBuffer(bytes);
    return {reinterpret_cast<char*>(reply_.data()), bytes};
  }
  void Finish(absl::Status s, pb::ExchangeReply r) override {
    Flat here = Flat::View(reply_values.data(),
                           static_cast<int64_t>(reply_values.size()));
    if (!here.empty()) here.CopyFrom(reply_);
    RecordedCall::Finish(std::move(s), std::move(r));
  }

 private:
  Flat update_, reply_;
};

}  // namespace monsoon
