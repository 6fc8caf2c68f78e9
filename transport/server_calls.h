// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/flat.h"
#include "proto/convert.h"
#include "proto/monsoon.pb.h"

namespace monsoon {

// One exchange with one shard, in flight. Made by a carrier, alive until
// Finish. The server calls each method at most once, from any thread.
class ExchangeCall {
 public:
  virtual ~ExchangeCall() = default;

  pb::ExchangeRequest request;  // without its values
  // Those values, aligned to floats; valid until Finish.
  absl::Span<const char> update;
  // These, and what ReplyBuffer gives, lie in a GPU's memory: only for servers
  // with takes_device_memory(). The update is there when the call is made; the
  // reply must be when it finishes.
  bool is_on_device = false;

  // Memory for the values of the reply, aligned to floats, asked for under the
  // shard's lock just before they are written there: must not block. Size 0
  // never asks.
  virtual absl::Span<char> ReplyBuffer(size_t bytes) = 0;
  // Ends the call; the last thing that the server does with it.
  virtual void Finish(absl::Status status, pb::ExchangeReply reply) = 0;
};

// Everything that a worker asks of one server: the published schema as C++.
// The server implements it, so the in-process carrier is the server itself;
// other carriers implement it on the worker's side and call it on the
// server's; decorators (faults, delays) stand in between. Thread-safe.
class ServerCalls {
 public:
  virtual ~ServerCalls() = default;
  virtual absl::Status GetJob(const pb::GetJobRequest& request,
                              pb::JobStatus& reply) = 0;
  virtual absl::Status Join(const pb::JoinRequest& request,
                            pb::JoinReply& reply) = 0;
  virtual absl::Status Report(const pb::ReportRequest& request,
                              pb::ReportReply& reply) = 0;
  // Returns at once; `call` finishes exactly once, now or later.
  virtual void Exchange(ExchangeCall& call) = 0;
  // Whether values may be handed over in a GPU's memory, in this process.
  virtual bool takes_device_memory() const { return false; }
  // The caller no longer waits: a call that is still parked finishes now, with
  // CANCELLED. Does nothing for one that has finished or is about to.
  virtual void Cancel(ExchangeCall& call) = 0;
  // Borrows the memory of the whole center of a job that this server alone
  // holds, for as long as the job is on it. UNIMPLEMENTED, the default, from
  // what is not the server itself.
  virtual absl::Status Map(uint64_t /*job_id*/, int /*worker*/,
                           uint64_t /*incarnation*/, Flat& /*center*/) {
    return absl::UnimplementedError(
        "the center lies in the memory of another process; use --transport "
        "inproc (monsoon train)");
  }
};

}  // namespace monsoon
