// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutant.h"
#include "base/status_macros.h"

namespace monsoon {

Server::Server(Clock& clock, ServerOptions options)
    : clock_(clock), options_(std::move(options)) {}

Server::JobRef Server::job() const {
  absl::MutexLock lock(&mu_);
  return job_;
}

absl::StatusOr<Server::JobRef> Server::JobOf(uint64_t id) const {
  JobRef present = job();
  if (present == nullptr ||
      (present->id() != id && !Mutant("job-not-checked"))) {
    return absl::FailedPreconditionError(absl::StrCat(
        "job ", absl::Hex(id), " is not on this server",
        present == nullptr
            ? std::string()
            : absl::StrCat(", job ", absl::Hex(present->id()), " is")));
  }
  return present;
}

void Server::Log(const std::string& line) const {
  if (options_.log) options_.log(line);
}

absl::Status Server::GetJob(const pb::GetJobRequest&, pb::JobStatus& reply) {
  const JobRef present = job();
  if (present == nullptr) {
    return absl::NotFoundError(
        "no job on this server yet; the worker of rank 0 brings it");
  }
  reply.Clear();
  present->FillStatus(reply);
  return absl::OkStatus();
}

absl::Status Server::Join(const pb::JoinRequest& request,
                          pb::JoinReply& reply) {
  JobRef joined;
  JobRef replaced;
  absl::Status status;
  bool created = false;
  {
    absl::MutexLock lock(&mu_);
    const bool free = job_ == nullptr || job_->Over();
    const bool creates = request.worker() == 0 && free &&
                         (job_ == nullptr || job_->id() != request.job_id());
    if (creates) {
      if (past_jobs_.count(request.job_id()) > 0 &&
          !Mutant("past-job-comes-back")) {
        return absl::FailedPreconditionError(
            absl::StrCat("job ", absl::Hex(request.job_id()),
                         " has ended on this server; start a new one"));
      }
      ASSIGN_OR_RETURN(JobRef next,
                       Job::Create(request, options_.max_bytes, options_.lease,
                                   options_.open_device, clock_));
      replaced = std::exchange(job_, std::move(next));
      if (replaced != nullptr) past_jobs_.insert(replaced->id());
      // Before anyone can see it: a job without members counts as over.
      status = job_->Join(request);
    } else if (job_ == nullptr || (free && job_->id() != request.job_id())) {
      return absl::NotFoundError(
          "no job on this server yet; start the worker of rank 0");
    }
    joined = job_;
    created = creates;
  }
  if (replaced != nullptr) replaced->Abandon();
  if (!created) status = joined->Join(request);
  Log(status.ok() ? absl::StrCat("worker ", request.worker(), " joined job ",
                                 absl::Hex(joined->id()), " (trainer ",
                                 joined->spec().trainer(), ", ",
                                 joined->spec().workers(), " workers)")
                  : absl::StrCat("worker ", request.worker(),
                                 " refused: ", status.message()));
  if (status.ok()) {
    reply.set_local_socket(options_.local_socket);
    reply.set_push_code(PushCode(joined->spec()));
    reply.set_reply_code(ReplyCode(joined->spec()));
  }
  return status;
}

absl::Status Server::Report(const pb::ReportRequest& request,
                            pb::ReportReply& reply) {
  ASSIGN_OR_RETURN(const JobRef present, JobOf(request.job_id()));
  RETURN_IF_ERROR(present->Report(request, reply));
  const pb::WorkerReport& report = request.report();
  if (report.state() != pb::RUNNING) {
    Log(absl::StrCat("worker ", request.worker(),
                     " ended: ", pb::WorkerState_Name(report.state()),
                     report.message().empty() ? "" : ", ", report.message()));
  }
  return absl::OkStatus();
}

void Server::Exchange(ExchangeCall& call) {
  absl::StatusOr<JobRef> present = JobOf(call.request.job_id());
  if (!present.ok()) {
    call.Finish(present.status(), {});
    return;
  }
  (*present)->Exchange(call);
}

absl::Status Server::Map(uint64_t job_id, int worker, uint64_t incarnation,
                         Flat& center) {
  ASSIGN_OR_RETURN(const JobRef present, JobOf(job_id));
  return present->Map(worker, incarnation, center);
}

void Server::Cancel(ExchangeCall& call) {
  absl::StatusOr<JobRef> present = JobOf(call.request.job_id());
  if (present.ok()) (*present)->Cancel(call);
}

}  // namespace monsoon
