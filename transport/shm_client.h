// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "transport/server_calls.h"

namespace monsoon {

// A server behind another carrier, `control`, whose exchanges go through shared
// memory where it is on this host: Join finds that out by the socket that the
// server names, which exists in this network namespace alone. Elsewhere, and
// once a connection has broken, exchanges go by `control`, too. Thread-safe.
//
// An update is copied once into the memory that the server reads it from, a
// reply once out of it: Exchange returns with the first copy made, Finish comes
// after the second, on a thread of this object.
class ShmClient final : public ServerCalls {
 public:
  // `is_required`: Join fails, FAILED_PRECONDITION, where memory cannot be
  // shared. `control` outlives the client.
  ShmClient(ServerCalls& control, bool is_required);
  // Cancels what is in flight through shared memory and waits for its end.
  ~ShmClient() override;

  // Whether exchanges go through shared memory now.
  bool shares_memory() const;

  absl::Status GetJob(const pb::GetJobRequest& request,
                      pb::JobStatus& reply) override;
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override;
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override;
  void Exchange(ExchangeCall& call) override;
  void Cancel(ExchangeCall& call) override;

 private:
  class Connection;

  // Null where there is none that works.
  std::shared_ptr<Connection> connection() const;

  ServerCalls& control_;
  const bool is_required_;
  mutable absl::Mutex mu_;
  std::shared_ptr<Connection> connection_ ABSL_GUARDED_BY(mu_);
};

}  // namespace monsoon
