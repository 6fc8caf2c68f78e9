// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "base/trace.h"
#include "proto/convert.h"

namespace monsoon {

// A request to a shard in words, for errors: "push 3 and pull".
std::string Asked(const pb::ExchangeRequest& request);

// A request that was answered, for a trace. `bytes` are of payload.
struct AnsweredRequest {
  const pb::ExchangeRequest& request;
  const pb::ExchangeReply& reply;
  int server = 0;
  size_t bytes_up = 0, bytes_down = 0;
  absl::Time begin, end;
};
TraceSpan SpanOf(const AnsweredRequest& answered);

}  // namespace monsoon
