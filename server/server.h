// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "server/job.h"
#include "transport/server_calls.h"

namespace monsoon {

struct ServerOptions {
  // The most parameters that one job may put on this server.
  int64_t max_bytes = std::numeric_limits<int64_t>::max();
  // A worker that has been silent for this long may be replaced by another of
  // the same rank, and a job whose workers all have, by the next job.
  absl::Duration lease = absl::Seconds(10);
  // What JoinReply.local_socket says; empty: there is none.
  std::string local_socket;
  // Where the shards lie; empty: in the host's memory.
  OpenShardDevice open_device;
  // Told of workers that come, go and are refused; one line each, from any
  // thread. May be empty.
  std::function<void(const std::string&)> log;
};

// A shard server: holds its part of one job at a time, whatever the model. The
// next job takes the place of one that has ended. Thread-safe; several live in
// one process.
class Server final : public ServerCalls {
 public:
  // `clock` outlives the server.
  explicit Server(Clock& clock, ServerOptions options = {});

  absl::Status GetJob(const pb::GetJobRequest& request,
                      pb::JobStatus& reply) override;
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override;
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override;
  void Exchange(ExchangeCall& call) override;
  bool takes_device_memory() const override {
    return options_.open_device != nullptr;
  }
  void Cancel(ExchangeCall& call) override;
  absl::Status Map(uint64_t job_id, int worker, uint64_t incarnation,
                   Flat& center) override;

 private:
  // Shared with the calls that are being served while the next job comes.
  using JobRef = std::shared_ptr<Job>;

  JobRef job() const;
  // The job of that id; FAILED_PRECONDITION when it is not here.
  absl::StatusOr<JobRef> JobOf(uint64_t id) const;
  void Log(const std::string& line) const;

  Clock& clock_;
  const ServerOptions options_;
  mutable absl::Mutex mu_;
  JobRef job_ ABSL_GUARDED_BY(mu_);
  std::set<uint64_t> past_jobs_ ABSL_GUARDED_BY(mu_);  // 8 bytes a job
};

}  // namespace monsoon
