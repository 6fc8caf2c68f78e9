// SPDX-License-Identifier: Apache-2.0
#include "worker/membership.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/process.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "worker/backoff.h"

namespace monsoon {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(10);
constexpr absl::Duration kProgressEvery = absl::Milliseconds(200);
constexpr absl::Duration kRetryPause = absl::Milliseconds(200);
constexpr int kEndReports = 5;
// How long rank 0 waits for the others after a signal.
constexpr absl::Duration kPatience = absl::Seconds(3);

// The server has agreed to the job's wire codes.
absl::Status SameCodes(const pb::JobSpec& spec, const pb::JoinReply& reply,
                       size_t server) {
  const auto or_fp32 = [](const std::string& code) {
    return code.empty() ? "fp32" : code;  // a server that knows no codes
  };
  if (or_fp32(reply.push_code()) == PushCode(spec) &&
      or_fp32(reply.reply_code()) == ReplyCode(spec)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "server ", server, " takes wire codes ", or_fp32(reply.push_code()), ",",
      or_fp32(reply.reply_code()), ", this job has ", PushCode(spec), ",",
      ReplyCode(spec), " (--wire): the server is of another version; start it ",
      "from this one, or use --wire fp32"));
}

}  // namespace

bool IsLost(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

Membership::Membership(int rank, absl::Duration connect_timeout,
                       WorkerEnvironment& environment)
    : rank_(rank),
      env_(environment),
      deadline_(environment.clock.Now() + connect_timeout),
      job_id_(environment.job_id) {}

absl::Status Membership::Interrupted() const {
  if (env_.stop.load() == 0) return absl::OkStatus();
  return absl::CancelledError(
      absl::StrCat("interrupted by signal ", env_.stop.load()));
}

absl::Status Membership::Poll(const std::function<absl::StatusOr<bool>()>& done,
                              const std::function<std::string()>& waits_for) {
  const absl::Time begin = env_.clock.Now();
  Random jitter({env_.incarnation, Random::kRetry});
  Backoff backoff(jitter);
  while (true) {
    RETURN_IF_ERROR(Interrupted());
    const absl::StatusOr<bool> is_done = done();
    const bool lost = IsLost(is_done.status());
    if (!is_done.ok() && !lost) return is_done.status();
    if (is_done.ok() && *is_done) return absl::OkStatus();
    if (env_.clock.Now() >= deadline_) {
      return absl::UnavailableError(absl::StrCat(
          lost ? std::string(is_done.status().message()) : waits_for(),
          "; waited ",
          absl::FormatDuration(
              absl::Trunc(env_.clock.Now() - begin, absl::Milliseconds(100))),
          " (--connect-timeout)"));
    }
    const absl::Duration pause = lost ? backoff.Next() : kPoll;
    env_.clock.NewEvent()->Wait(std::min(deadline_, env_.clock.Now() + pause));
  }
}

absl::Status Membership::Retried(const std::function<absl::Status()>& call) {
  return Poll(
      [&]() -> absl::StatusOr<bool> {
        RETURN_IF_ERROR(call());
        return true;
      },
      [] { return std::string(); });
}

absl::StatusOr<pb::JobStatus> Membership::AwaitJob() {
  pb::JobStatus status;
  const absl::Status found = Poll(
      [&]() -> absl::StatusOr<bool> {
        const absl::Status got = env_.servers[0]->GetJob({}, status);
        if (absl::IsNotFound(got)) return false;
        RETURN_IF_ERROR(got);
        return !status.over();
      },
      [] {
        return std::string(
            "no job on the servers: the worker of rank 0 brings it, start it "
            "with the same --servers");
      });
  RETURN_IF_ERROR(found);
  job_id_ = status.job_id();
  return status;
}

pb::ReportRequest Membership::Ids() const {
  pb::ReportRequest ids;
  ids.set_job_id(job_id_);
  ids.set_worker(rank_);
  ids.set_incarnation(env_.incarnation);
  return ids;
}

absl::Status Membership::JoinServer(size_t server, const pb::JobSpec& spec) {
  pb::JoinRequest request;
  request.set_job_id(job_id_);
  request.set_worker(rank_);
  request.set_incarnation(env_.incarnation);
  request.set_server_index(static_cast<int>(server));
  *request.mutable_spec() = spec;
  return Poll(
      [&]() -> absl::StatusOr<bool> {
        pb::JoinReply reply;
        const absl::Status joined = env_.servers[server]->Join(request, reply);
        // Rank 0 brings the job to one server after the other.
        if (rank_ != 0 && absl::IsNotFound(joined)) return false;
        RETURN_IF_ERROR(joined);
        RETURN_IF_ERROR(SameCodes(spec, reply, server));
        return true;
      },
      [server] { return absl::StrCat("server ", server, " has no job yet"); });
}

absl::Status Membership::Join(const pb::JobSpec& spec) {
  const ProcessInfo self = ThisProcess();
  report_.set_host(self.host);
  report_.set_pid(self.pid);
  absl::Status joined;
  for (size_t i = 0; i < env_.servers.size() && joined.ok(); ++i) {
    joined = JoinServer(i, spec);
    pb::JobStatus status;
    if (joined.ok() && i == 0) {
      joined = Retried([&] { return env_.servers[0]->GetJob({}, status); });
    }
    if (!joined.ok() || i > 0) continue;
    const absl::Duration lease = absl::Seconds(status.lease_s());
    heartbeat_.emplace(env_.servers, Ids(), std::max(lease / 4, kPoll),
                       env_.clock);
  }
  if (joined.ok()) {
    joined = Retried([&] {
      return Report(env_.servers.size(), pb::RUNNING, "", /*keeps_job=*/false);
    });
  }
  if (joined.ok()) return joined;
  // Servers that have taken this worker in must not wait for it.
  Report(env_.servers.size(), pb::FAILED, joined.message(), /*keeps_job=*/false)
      .IgnoreError();
  return joined;
}

absl::Status Membership::AwaitAll(int workers) {
  pb::JobStatus status;
  return Poll(
      [&]() -> absl::StatusOr<bool> {
        // Each of them: a round must not begin where somebody is yet to come.
        for (ServerCalls* server : env_.servers) {
          RETURN_IF_ERROR(server->GetJob({}, status));
          if (!status.stop().empty()) return absl::AbortedError(status.stop());
          if (status.members_size() != workers) return false;
        }
        return true;
      },
      [&] {
        std::vector<int> missing;
        for (int worker = 0; worker < workers; ++worker) {
          const auto& members = status.members();
          if (std::none_of(members.begin(), members.end(), [&](const auto& m) {
                return m.worker() == worker;
              })) {
            missing.push_back(worker);
          }
        }
        return absl::StrCat("not all workers have come: missing rank ",
                            absl::StrJoin(missing, ", "), " of ", workers);
      });
}

absl::Status Membership::Report(size_t servers, pb::WorkerState state,
                                absl::string_view message, bool keeps_job) {
  report_.set_state(state);
  report_.set_message(std::string(message));
  report_.set_keeps_job(keeps_job);
  report_.set_peak_rss_bytes(ThisProcess().peak_rss_bytes);
  pb::ReportRequest request = Ids();
  *request.mutable_report() = report_;
  absl::Status status;
  for (size_t i = 0; i < servers; ++i) {
    pb::ReportReply reply;
    status.Update(env_.servers[i]->Report(request, reply));
    if (status.ok() && !reply.stop().empty()) {
      status = absl::AbortedError(reply.stop());
    }
  }
  return status;
}

bool Membership::progress_is_due() const {
  return env_.clock.Now() >= next_progress_;
}

absl::Status Membership::ReportProgress() {
  next_progress_ = env_.clock.Now() + kProgressEvery;
  const absl::Status told = Report(1, pb::RUNNING, "", /*keeps_job=*/false);
  return IsLost(told) ? absl::OkStatus() : told;
}

absl::Status Membership::ReportEnd(pb::WorkerState state,
                                   absl::string_view message, bool keeps_job) {
  absl::Status told;
  // Who sent a signal does not wait for servers that are gone.
  const int attempts = state == pb::INTERRUPTED ? 1 : kEndReports;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    told = Report(env_.servers.size(), state, message, keeps_job);
    if (!IsLost(told)) break;
    env_.clock.NewEvent()->Wait(env_.clock.Now() + kRetryPause);
  }
  return told;
}

absl::Status Membership::AwaitOthers() {
  absl::Time patience = absl::InfiniteFuture();
  while (true) {
    if (env_.stop.load() != 0 && patience == absl::InfiniteFuture()) {
      // Who was done is interrupted now; else all are, and end in a moment.
      if (report_.state() == pb::DONE) return Interrupted();
      patience = env_.clock.Now() + kPatience;
    }
    pb::JobStatus status;
    RETURN_IF_ERROR(env_.servers[0]->GetJob({}, status));
    bool running = false;
    for (const pb::Member& member : status.members()) {
      if (member.report().state() != pb::RUNNING) continue;
      running = true;
      if (member.silent_s() < status.lease_s()) continue;
      return absl::UnavailableError(absl::StrCat(
          "worker ", member.worker(), " (host ", member.report().host(),
          ", pid ", member.report().pid(), ") has been silent for ",
          status.lease_s(), " s: its process is gone or stuck"));
    }
    if (!running || env_.clock.Now() >= patience) return absl::OkStatus();
    env_.clock.NewEvent()->Wait(env_.clock.Now() + kPoll);
  }
}

absl::Status Membership::End(pb::WorkerState state, const std::string& why) {
  const bool collects = rank_ == 0 && state != pb::FAILED;
  absl::Status told = ReportEnd(state, why, collects);
  // ABORTED is the job's end told by the server, which knows it already.
  if (!told.ok() && !absl::IsAborted(told)) return told;
  if (!collects) return absl::OkStatus();
  absl::Status waited = AwaitOthers();
  if (!absl::IsCancelled(waited)) return waited;
  ReportEnd(pb::INTERRUPTED, waited.message(), collects).IgnoreError();
  return AwaitOthers();
}

void Membership::Leave() {
  if (!report_.keeps_job()) return;
  Report(env_.servers.size(), report_.state(), report_.message(),
         /*keeps_job=*/false)
      .IgnoreError();
}

}  // namespace monsoon
