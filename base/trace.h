// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace monsoon {

// What a worker does in some span of time.
enum class TraceKind : uint8_t {
  // Its steps, one after the other.
  kData,      // gets a batch ready
  kCompute,   // gradients and local rules
  kExchange,  // with the servers
  // Within an exchange, or beside the steps: all is sent, answers are missing.
  kWait,
  // One shard's part of an exchange, from its first attempt to its answer.
  kInitialize,
  kPull,
  kPush,
  kPushPull,
};

struct TraceSpan {
  TraceKind kind = TraceKind::kData;
  // On a thread beside that of the steps (an exchange with --overlap).
  bool is_beside = false;
  absl::Time begin, end;  // by the clock of the worker
  // Of a request, else -1. Bytes are payload.
  int shard = -1, server = -1;
  int64_t bytes_up = -1, bytes_down = -1, staleness = -1, version = -1;
};

// Takes what one worker did. Whoever is given one, or null where nobody wants
// to know, adds spans as they end. Thread-safe; adding neither allocates nor
// waits.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void Add(const TraceSpan& span) = 0;
};

// Has one for every worker of a process.
class Tracer {
 public:
  virtual ~Tracer() = default;
  // Lives as long as the tracer. Thread-safe.
  virtual TraceSink& OfWorker(int rank) = 0;
};

}  // namespace monsoon
