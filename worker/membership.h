// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/monsoon.pb.h"
#include "worker/heartbeat.h"
#include "worker/run_worker.h"

namespace monsoon {

// The call may not have arrived; the server may be back soon.
bool IsLost(const absl::Status& status);

// What a worker owes a job beside its training: it joins all servers, shows
// that it lives and how far it is, waits for the others, and says how it
// ended. Used in the order of the methods, by one thread, but for Interrupted.
// Every wait ends with CANCELLED when the environment's stop asks for it.
class Membership {
 public:
  // `environment` outlives this. Until `connect_timeout` from now everybody
  // has to be there.
  Membership(int rank, absl::Duration connect_timeout,
             WorkerEnvironment& environment);

  uint64_t job_id() const { return job_id_; }
  // CANCELLED, with the signal, when one asked for an end. On any thread.
  absl::Status Interrupted() const;

  // For ranks other than 0: waits until rank 0 has brought the job.
  absl::StatusOr<pb::JobStatus> AwaitJob();
  // Joins all servers, rank 0 creating the job there. From then on until this
  // is gone they hear that the worker lives. On failure those that took it in
  // are told.
  absl::Status Join(const pb::JobSpec& spec);
  // Waits until all `workers` have joined: they start together, so that none
  // has the center for itself at first.
  absl::Status AwaitAll(int workers);

  // The worker's numbers, to be brought up to date before each report.
  pb::WorkerReport& numbers() { return report_; }
  // Tells the first server how far the worker is; now and then, whoever often
  // calls it. ABORTED when the job was stopped. A lost report is no error: the
  // exchanges retry until a server is back.
  absl::Status ReportProgress();
  bool progress_is_due() const;

  // Tells all servers how it ended, and why if not DONE; rank 0 then waits
  // until the others have ended too, and keeps the job on the servers until
  // Leave, unless it has failed. UNAVAILABLE when one of them fell silent.
  absl::Status End(pb::WorkerState state, const std::string& why);
  // The result has been read: the next job may come.
  void Leave();

 private:
  // Asks `done` again and again until it is true, fails, or the time to be
  // there has passed, which is UNAVAILABLE with what `waits_for()` says. A lost
  // call is no failure, but asked again after a growing pause.
  absl::Status Poll(const std::function<absl::StatusOr<bool>()>& done,
                    const std::function<std::string()>& waits_for);
  // The call, again while it is lost and there is time to be there.
  absl::Status Retried(const std::function<absl::Status()>& call);
  absl::Status JoinServer(size_t server, const pb::JobSpec& spec);
  // Tells the first `servers` of them.
  absl::Status Report(size_t servers, pb::WorkerState state,
                      absl::string_view message, bool keeps_job);
  // The end is worth some tries.
  absl::Status ReportEnd(pb::WorkerState state, absl::string_view message,
                         bool keeps_job);
  absl::Status AwaitOthers();
  // Job, worker and incarnation, without a report.
  pb::ReportRequest Ids() const;

  const int rank_;
  WorkerEnvironment& env_;
  const absl::Time deadline_;
  uint64_t job_id_;
  pb::WorkerReport report_;
  absl::Time next_progress_ = absl::InfinitePast();
  std::optional<Heartbeat> heartbeat_;
};

}  // namespace monsoon
