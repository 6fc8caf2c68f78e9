// SPDX-License-Identifier: Apache-2.0
#include "server/job.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/mutant.h"
#include "base/process.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

absl::Status CheckWorkers(const pb::JobSpec& spec, const Traits& traits) {
  if (spec.workers() < traits.min_workers ||
      spec.workers() > traits.max_workers) {
    return absl::InvalidArgumentError(absl::StrCat(
        "trainer ", spec.trainer(), " with ", spec.workers(),
        " workers, expected ", traits.min_workers, " to ", traits.max_workers));
  }
  return absl::OkStatus();
}

absl::Status CheckRank(const pb::JoinRequest& request, int workers) {
  if (request.worker() < 0 || request.worker() >= workers) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", request.worker(), " in a job of ", workers,
                     " workers, expected 0 to ", workers - 1));
  }
  if (request.incarnation() == 0 || request.job_id() == 0) {
    return absl::InvalidArgumentError(
        "job_id and incarnation are random numbers, never 0");
  }
  return absl::OkStatus();
}

absl::Status Replaced(int worker) {
  return absl::FailedPreconditionError(
      absl::StrCat("worker ", worker, " was replaced by a newer process"));
}

// Floats of a server's shards.
int64_t SizeOn(int server, const std::vector<ShardRange>& shards) {
  int64_t size = 0;
  for (const ShardRange& shard : shards) {
    if (shard.server == server) size += shard.size;
  }
  return size;
}

// What a GPU's shards cannot have: see docs/gpu.md.
absl::Status CheckOnDevice(const pb::JobSpec& spec, const Traits& traits,
                           const Wire& wire) {
  if (traits.maps_center) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the workers of trainer ", spec.trainer(),
        " work in the memory of the "
        "center itself, found a server on a GPU, expected one of the host; "
        "use --server-device cpu"));
  }
  if (wire.push == nullptr && wire.reply == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "values travel as ", PushCode(spec), " and ", ReplyCode(spec),
      ", expected fp32: this server is on a GPU and reads no codes; use "
      "--wire fp32 or --server-device cpu"));
}

// How far a worker is: it runs, is done but may still be interrupted, has
// ended.
int Stage(const pb::WorkerReport& report) {
  if (report.state() == pb::RUNNING) return 0;
  if (!report.keeps_job()) return 3;
  return report.state() == pb::DONE ? 1 : 2;
}

// `next` was sent before `last` and came after it: a worker never goes back.
bool IsLate(const pb::WorkerReport& next, const pb::WorkerReport& last) {
  return Stage(next) < Stage(last) ||
         (Stage(next) == Stage(last) && next.steps() < last.steps());
}

}  // namespace

absl::StatusOr<std::shared_ptr<Job>> Job::Create(
    const pb::JoinRequest& request, int64_t max_bytes, absl::Duration lease,
    const OpenShardDevice& open_device, Clock& clock) {
  const pb::JobSpec& spec = request.spec();
  RETURN_IF_ERROR(CheckRank(request, spec.workers()));
  if (spec.samples() < 0) {
    return absl::InvalidArgumentError("samples must be 0 or more");
  }
  if (spec.has_max_staleness() && spec.max_staleness() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_staleness is ", spec.max_staleness(), ", expected 0 or more"));
  }
  ASSIGN_OR_RETURN(const ParameterLayout layout, LayoutFromProto(spec));
  ASSIGN_OR_RETURN(const auto shards, ShardsFromProto(spec, layout.size()));
  const int server = request.server_index();
  if (server < 0 || server >= spec.servers()) {
    return absl::InvalidArgumentError(
        absl::StrCat("server index ", server, " of ", spec.servers(),
                     " servers, expected 0 to servers - 1"));
  }
  const int64_t bytes = SizeOn(server, shards) * int64_t{sizeof(float)};
  if (bytes > max_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the job puts ", bytes, " bytes of parameters on this server, which ",
        "takes ", max_bytes, "; start more servers"));
  }
  JobFacts facts;
  facts.workers = spec.workers();
  ASSIGN_OR_RETURN(
      MadeTrainer trainer,
      MakeTrainer(spec.trainer(), {spec.hyper().begin(), spec.hyper().end()},
                  facts));
  RETURN_IF_ERROR(CheckWorkers(spec, trainer.trainer->traits()));
  if (spec.has_max_staleness() &&
      trainer.trainer->traits().replies == Payload::kElastic) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_staleness is ", spec.max_staleness(), ", expected none: trainer ",
        spec.trainer(), " computes each update from the center that it meets"));
  }
  ASSIGN_OR_RETURN(Wire wire,
                   MakeWire({PushCode(spec), ReplyCode(spec)}, spec.trainer(),
                            trainer.trainer->traits()));
  if (open_device) {
    RETURN_IF_ERROR(CheckOnDevice(spec, trainer.trainer->traits(), wire));
  }
  std::shared_ptr<Job> job(
      new Job(request, std::move(trainer), std::move(wire), lease, clock));
  RETURN_IF_ERROR(job->MakeShards(shards, layout.parameters(), open_device));
  return job;
}

absl::Status Job::MakeShards(const std::vector<ShardRange>& shards,
                             int64_t parameters,
                             const OpenShardDevice& open_device) {
  const HostedShard::Rules rules{.trainer = *trainer_.trainer,
                                 .samples = spec_.samples(),
                                 .max_staleness = spec_.has_max_staleness()
                                                      ? spec_.max_staleness()
                                                      : kUnbounded,
                                 .wire = wire_,
                                 .clock = clock_};
  int64_t used = 0;
  if (!open_device) memory_ = Flat(SizeOn(server_index_, shards));
  for (size_t i = 0; i < shards.size(); ++i) {
    const ShardRange& range = shards[i];
    if (range.server != server_index_) continue;
    const int index = static_cast<int>(i);
    absl::StatusOr<Flat> center = open_device
                                      ? TakeMemory(range.size, open_device)
                                      : memory_.Slice(used, range.size);
    if (!center.ok()) return DeviceFailed(center.status(), index);
    used += range.size;
    shards_[index] = std::make_unique<HostedShard>(
        index, *std::move(center), StatisticsIn(range, parameters), rules);
  }
  return absl::OkStatus();
}

absl::StatusOr<Flat> Job::TakeMemory(int64_t size,
                                     const OpenShardDevice& open_device) {
  ASSIGN_OR_RETURN(auto queue, open_device());
  Flat memory(size, *queue);
  Largest(memory);  // takes what the queue needs, before anybody has trained
  RETURN_IF_ERROR(queue->Wait());
  queues_.push_back(std::move(queue));
  return memory;
}

Job::Job(const pb::JoinRequest& request, MadeTrainer trainer, Wire wire,
         absl::Duration lease, Clock& clock)
    : id_(request.job_id()),
      spec_(request.spec()),
      server_index_(request.server_index()),
      trainer_(std::move(trainer)),
      wire_(std::move(wire)),
      lease_(lease),
      clock_(clock) {}

absl::Status Job::Join(const pb::JoinRequest& request) {
  RETURN_IF_ERROR(SameJob(spec_, request.spec()));
  RETURN_IF_ERROR(CheckRank(request, spec_.workers()));
  if (request.server_index() != server_index_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "this server is number ", server_index_, " of the job, this worker ",
        "has it as number ", request.server_index(),
        "; give --servers in the same order to all workers"));
  }
  std::optional<LiveChange> change;
  {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(Admit(request));
    // Also where it is who it was: its past self's calls end now.
    told_ = Live();
    change = LiveChange{told_, ++changes_};
  }
  Tell(change);
  return absl::OkStatus();
}

absl::Status Job::Admit(const pb::JoinRequest& request) {
  const int worker = request.worker();
  const bool is_other = request.job_id() != id_;
  const auto it = members_.find(worker);
  if (it != members_.end() &&
      (is_other || it->second.incarnation != request.incarnation())) {
    const Member& other = it->second;
    if (!is_other && other.past.count(request.incarnation()) > 0 &&
        !Mutant("past-self-joins")) {
      return Replaced(worker);
    }
    if (other.report.state() == pb::RUNNING &&
        clock_.Now() - other.heard < lease_) {
      return absl::AlreadyExistsError(absl::StrCat(
          "rank ", worker, " is taken by a living worker (host ",
          other.report.host(), ", pid ", other.report.pid(),
          "); give this one another --rank, 0 to ", spec_.workers() - 1,
          ", or wait ", absl::FormatDuration(lease_),
          " if that process is gone"));
    }
  }
  if (is_other) {
    return absl::FailedPreconditionError(absl::StrCat(
        "this server still serves another job of trainer ", spec_.trainer(),
        "; wait until it ends, or use other --servers"));
  }
  Member& member = members_[worker];
  // A repeat, however late, brings nobody back to life.
  if (member.incarnation != request.incarnation() ||
      Mutant("late-join-revives")) {
    if (member.incarnation != 0) member.past.insert(member.incarnation);
    member.incarnation = request.incarnation();
    member.report.Clear();
  }
  member.heard = clock_.Now();
  // Before anybody can see the new member: it may push as soon as it is one.
  for (auto& [index, shard] : shards_) {
    shard->Enter(worker, request.incarnation());
  }
  return absl::OkStatus();
}

absl::Status Job::Check(int worker, uint64_t incarnation) {
  const auto it = members_.find(worker);
  if (it == members_.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat("worker ", worker, " has not joined the job"));
  }
  if (it->second.incarnation != incarnation && !Mutant("past-self-served")) {
    return Replaced(worker);
  }
  it->second.heard = clock_.Now();
  return absl::OkStatus();
}

std::vector<int> Job::Live() {
  const absl::Time now = clock_.Now();
  std::vector<int> live;
  look_again_ = absl::InfiniteFuture();
  for (const auto& [worker, member] : members_) {
    const absl::Time silent = member.heard + lease_;
    if (member.report.state() != pb::RUNNING) continue;
    if (silent <= now && !Mutant("silent-counts-as-living")) continue;
    live.push_back(worker);
    look_again_ = std::min(look_again_, silent);
  }
  return live;
}

std::optional<Job::LiveChange> Job::Changed() {
  std::vector<int> live = Live();
  if (live == told_) return std::nullopt;
  told_ = live;
  return LiveChange{std::move(live), ++changes_};
}

void Job::Tell(const std::optional<LiveChange>& change) {
  if (!change) return;
  for (auto& [index, shard] : shards_) {
    shard->SetLive(change->live, change->number);
  }
}

absl::Status Job::Report(const pb::ReportRequest& request,
                         pb::ReportReply& reply) {
  bool stopped = false;
  std::optional<LiveChange> change;
  {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(Check(request.worker(), request.incarnation()));
    if (request.has_report()) stopped = Take(request);
    reply.set_stop(stop_);
    // Whoever shows that it lives may find that another has not, for long.
    if (request.has_report() || clock_.Now() >= look_again_) change = Changed();
  }
  Tell(change);
  if (!stopped) return absl::OkStatus();
  for (auto& [index, shard] : shards_) {
    shard->Stop(absl::AbortedError(reply.stop()));
  }
  return absl::OkStatus();
}

bool Job::Take(const pb::ReportRequest& request) {
  Member& member = members_[request.worker()];
  if (IsLate(request.report(), member.report) &&
      !Mutant("late-report-counts")) {
    return false;
  }
  const pb::WorkerState state = request.report().state();
  const bool left =
      member.report.state() == pb::RUNNING && state != pb::RUNNING;
  // Who was done and waits for the others may still be interrupted.
  const bool ends = left || member.report.keeps_job();
  member.report = request.report();
  if (left) last_end_ = clock_.Now();
  if (!ends || state == pb::RUNNING || state == pb::DONE ||
      stop_state_ != pb::RUNNING) {
    return false;
  }
  stop_state_ = state;
  stop_ = absl::StrCat("worker ", request.worker(), ": ",
                       request.report().message());
  return true;
}

HostedShard* Job::FindShard(int index) const {
  const auto it = shards_.find(index);
  return it == shards_.end() ? nullptr : it->second.get();
}

void Job::Exchange(ExchangeCall& call) {
  const pb::ExchangeRequest& request = call.request;
  HostedShard* shard = FindShard(request.shard());
  absl::Status status;
  std::optional<LiveChange> change;
  if (shard == nullptr) {
    std::vector<int> here;
    for (const auto& [index, held] : shards_) here.push_back(index);
    status = absl::NotFoundError(
        absl::StrCat("worker ", request.worker(), ": shard ", request.shard(),
                     " is not on server ", server_index_, ", which has shards ",
                     absl::StrJoin(here, ", ")));
  } else if (request.worker() != -1 ||
             request.kind() != pb::ExchangeRequest::PULL) {
    absl::MutexLock lock(&mu_);
    status = Check(request.worker(), request.incarnation());
    if (status.ok() && !stop_.empty()) status = absl::AbortedError(stop_);
    // Another may be silent for too long, or this one is back.
    if (status.ok() &&
        (clock_.Now() >= look_again_ ||
         !std::binary_search(told_.begin(), told_.end(), request.worker()))) {
      change = Changed();
    }
  }
  Tell(change);
  if (!status.ok()) {
    call.Finish(std::move(status), {});
    return;
  }
  shard->Exchange(call);
}

absl::Status Job::Map(int worker, uint64_t incarnation, Flat& center) {
  if (spec_.servers() != 1) {
    return absl::UnimplementedError(absl::StrCat(
        "the center lies on ", spec_.servers(), " servers, which have no ",
        "memory in common; use --servers 1"));
  }
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(Check(worker, incarnation));
  center = memory_.Slice(0, memory_.size());
  return absl::OkStatus();
}

void Job::Cancel(ExchangeCall& call) {
  HostedShard* shard = FindShard(call.request.shard());
  if (shard != nullptr) shard->Cancel(call);
}

void Job::Abandon() {
  for (auto& [index, shard] : shards_) {
    shard->Stop(absl::AbortedError("the next job has taken the server"));
  }
}

void Job::FillStatus(pb::JobStatus& status) const {
  status.set_job_id(id_);
  *status.mutable_spec() = spec_;
  status.set_server_index(server_index_);
  const ProcessInfo self = ThisProcess();
  status.set_host(self.host);
  status.set_pid(self.pid);
  status.set_peak_rss_bytes(self.peak_rss_bytes);
  status.set_cpu_s(self.cpu_s);
  status.set_over(Over());
  status.set_lease_s(absl::ToDoubleSeconds(lease_));
  absl::Time begin = absl::InfiniteFuture();
  absl::Time end = absl::InfinitePast();
  for (const auto& [index, shard] : shards_) {
    const HostedShard::Counters counters = shard->counters();
    if (index == shards_.begin()->first) {
      status.set_samples_applied(counters.samples_applied);
      status.set_samples_refused(counters.samples_refused);
    }
    auto& histogram =
        *(*status.mutable_shard_staleness())[index].mutable_counts();
    histogram = {counters.staleness.begin(), counters.staleness.end()};
    begin = std::min(begin, counters.first_pull);
    end = std::max(end, counters.last_apply);
  }
  absl::MutexLock lock(&mu_);
  bool is_running = false;
  for (const auto& [worker, member] : members_) {
    is_running = is_running || member.report.state() == pb::RUNNING;
    pb::Member& out = *status.add_members();
    out.set_worker(worker);
    out.set_incarnation(member.incarnation);
    *out.mutable_report() = member.report;
    out.set_silent_s(absl::ToDoubleSeconds(clock_.Now() - member.heard));
  }
  if (end == absl::InfinitePast()) {  // nobody pushes
    end = is_running || last_end_ == absl::InfinitePast() ? clock_.Now()
                                                          : last_end_;
  }
  if (begin < end) {
    status.set_elapsed_s(absl::ToDoubleSeconds(end - begin));
  }
  status.set_stop_state(stop_state_);
  status.set_stop(stop_);
}

bool Job::Over() const {
  absl::MutexLock lock(&mu_);
  const absl::Time silent = clock_.Now() - lease_;
  return std::all_of(members_.begin(), members_.end(), [&](const auto& entry) {
    const Member& member = entry.second;
    const bool ended =
        member.report.state() != pb::RUNNING && !member.report.keeps_job();
    return ended || member.heard < silent;
  });
}

}  // namespace monsoon
