// SPDX-License-Identifier: Apache-2.0
#include "worker/run_worker.h"

#include <omp.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/process.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "data/loader.h"
#include "models/model.h"
#include "trainers/trainer.h"
#include "worker/shard_link.h"
#include "worker/training_loop.h"

namespace monsoon {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(10);
constexpr absl::Duration kReportEvery = absl::Milliseconds(200);
// A worker that a server has not heard of for this long is taken for dead.
constexpr double kSilentSeconds = 10;
// How long rank 0 waits for the others after a signal.
constexpr absl::Duration kPatience = absl::Seconds(3);
constexpr int kEndReports = 5;

// Batches of a loader through a model.
class BatchSource final : public GradientSource {
 public:
  BatchSource(Loader& loader, Model& model, uint64_t seed, int worker)
      : loader_(loader),
        model_(model),
        first_draw_(
            Random({seed, Random::kDropout, static_cast<uint64_t>(worker)})
                .Next()) {}
  int Next() override {
    count_ = loader_.Next(model_.input(), model_.labels());
    return count_;
  }
  float Gradient(Flat& x, const GradientSink& sink) override {
    // A loader that resumes has handed out the same number of samples.
    const auto step = static_cast<uint64_t>(loader_.samples());
    return model_.Step(count_, x, sink, first_draw_ + step);
  }

 private:
  Loader& loader_;
  Model& model_;
  const uint64_t first_draw_;
  int count_ = 0;
};

// One worker's way through one job, in the order of the methods.
class Session {
 public:
  Session(Options options, int rank, WorkerEnvironment& environment)
      : options_(std::move(options)),
        rank_(rank),
        env_(environment),
        job_id_(environment.job_id),
        deadline_(environment.clock.Now() + options_.connect_timeout) {
    options_.servers = static_cast<int>(environment.servers.size());
  }

  absl::StatusOr<JobOutcome> Run();

 private:
  absl::Status LearnJob();
  absl::Status LoadData();
  absl::Status BuildJob();
  absl::Status Join();
  absl::Status AwaitAll();
  absl::Status Train();
  absl::Status AfterStep(const TrainingLoop::Step& step, int64_t epoch);
  // Tells server 0 or all servers how far this worker is.
  absl::Status ReportTo(size_t servers, pb::WorkerState state,
                        absl::string_view message, bool keeps_job);
  // The same for the end, which is worth some tries.
  absl::Status ReportEnd(pb::WorkerState state, absl::string_view message,
                         bool keeps_job);
  absl::Status AwaitOthers();
  // Tells how it ended; rank 0 waits for the others and collects the outcome.
  absl::StatusOr<JobOutcome> End(const absl::Status& ended);
  absl::StatusOr<JobOutcome> Outcome();

  // Asks `done` again and again until it is true, fails, or `deadline` has
  // passed, which is UNAVAILABLE with what `waits_for()` says.
  absl::Status Poll(absl::Time deadline,
                    const std::function<absl::StatusOr<bool>()>& done,
                    const std::function<std::string()>& waits_for);
  absl::Status Interrupted() const;
  ShardLink::Config LinkConfig(int worker) const;

  Options options_;
  const int rank_;
  WorkerEnvironment& env_;
  uint64_t job_id_;
  const absl::Time deadline_;  // for everybody to be there

  std::optional<Dataset> own_data_;
  const Dataset* data_ = nullptr;
  MadeTrainer trainer_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Model> model_;
  std::optional<Loader> loader_;
  std::vector<ShardRange> shards_;
  pb::JobSpec spec_;
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<ShardLink> link_;
  pb::WorkerReport report_;
  int64_t loss_epoch_ = 0;
  absl::Time next_report_;
  int64_t reports_ = 0;
};

// The call may not have arrived; the server may be back soon.
bool IsLost(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

absl::Status Session::Interrupted() const {
  if (env_.stop.load() == 0) return absl::OkStatus();
  return absl::CancelledError(
      absl::StrCat("interrupted by signal ", env_.stop.load()));
}

absl::Status Session::Poll(absl::Time deadline,
                           const std::function<absl::StatusOr<bool>()>& done,
                           const std::function<std::string()>& waits_for) {
  const absl::Time begin = env_.clock.Now();
  while (true) {
    RETURN_IF_ERROR(Interrupted());
    ASSIGN_OR_RETURN(const bool is_done, done());
    if (is_done) return absl::OkStatus();
    if (env_.clock.Now() >= deadline) {
      return absl::UnavailableError(
          absl::StrCat(waits_for(), "; waited ",
                       absl::FormatDuration(absl::Trunc(
                           env_.clock.Now() - begin, absl::Milliseconds(100))),
                       " (--connect-timeout)"));
    }
    env_.clock.NewEvent()->Wait(env_.clock.Now() + kPoll);
  }
}

absl::Status Session::LearnJob() {
  if (rank_ == 0) return ResolveOptions(options_);
  pb::JobStatus status;
  const absl::Status learned = Poll(
      deadline_,
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
  RETURN_IF_ERROR(learned);
  job_id_ = status.job_id();
  RETURN_IF_ERROR(SettingsFromSpec(status.spec(), options_));
  if (rank_ >= options_.workers) {
    return absl::InvalidArgumentError(
        absl::StrCat("--rank ", rank_, ": the job has ", options_.workers,
                     " workers, expected 0 to ", options_.workers - 1));
  }
  return ResolveOptions(options_);
}

absl::Status Session::LoadData() {
  data_ = env_.train;
  if (data_ == nullptr) {
    ASSIGN_OR_RETURN(own_data_,
                     LoadDataset(options_.data, Split::kTrain, env_.files,
                                 {rank_, options_.workers}));
    data_ = &*own_data_;
  }
  RETURN_IF_ERROR(CheckDataSize(options_, data_->total));
  loader_.emplace(*data_, rank_, options_.workers, options_.batch_size,
                  options_.epochs, options_.seed);
  return absl::OkStatus();
}

absl::Status Session::BuildJob() {
  ASSIGN_OR_RETURN(trainer_, TrainerOf(options_));
  ASSIGN_OR_RETURN(optimizer_, MakeOptimizer(options_.optimizer,
                                             static_cast<float>(options_.lr)));
  const Shape example{data_->channels, data_->height, data_->width};
  ASSIGN_OR_RETURN(model_, Model::Build(options_.model, example, data_->classes,
                                        {options_.batch_size,
                                         static_cast<int>(loader_->tail())}));
  const int64_t parameters = model_->layout().size();
  shards_ = CutShards(parameters, options_.servers);
  replica_ = std::make_unique<Replica>(rank_, parameters, *optimizer_);

  spec_.set_trainer(options_.trainer);
  spec_.mutable_hyper()->insert(trainer_.resolved.begin(),
                                trainer_.resolved.end());
  spec_.set_workers(options_.workers);
  spec_.set_servers(options_.servers);
  spec_.set_samples(data_->total);
  spec_.set_data_hash(data_->hash);
  LayoutToProto(model_->layout(), spec_);
  ShardsToProto(shards_, spec_);
  SettingsToSpec(options_, spec_);
  return absl::OkStatus();
}

ShardLink::Config Session::LinkConfig(int worker) const {
  return {.servers = env_.servers,
          .shards = shards_,
          .job_id = job_id_,
          .worker = worker,
          .incarnation = env_.incarnation};
}

absl::Status Session::Join() {
  link_ = std::make_unique<ShardLink>(LinkConfig(rank_), env_.clock);
  link_->Attach(*replica_);
  for (size_t i = 0; i < env_.servers.size(); ++i) {
    pb::JoinRequest request;
    request.set_job_id(job_id_);
    request.set_worker(rank_);
    request.set_incarnation(env_.incarnation);
    request.set_server_index(static_cast<int>(i));
    *request.mutable_spec() = spec_;
    const absl::Status joined_in_time = Poll(
        deadline_,
        [&]() -> absl::StatusOr<bool> {
          pb::JoinReply reply;
          const absl::Status joined = env_.servers[i]->Join(request, reply);
          // Rank 0 brings the job to one server after the other.
          if (rank_ != 0 && absl::IsNotFound(joined)) return false;
          RETURN_IF_ERROR(joined);
          return true;
        },
        [i] { return absl::StrCat("server ", i, " has no job yet"); });
    RETURN_IF_ERROR(joined_in_time);
  }
  const ProcessInfo self = ThisProcess();
  report_.set_host(self.host);
  report_.set_pid(self.pid);
  RETURN_IF_ERROR(
      ReportTo(env_.servers.size(), pb::RUNNING, "", /*keeps_job=*/false));
  if (rank_ != 0) return absl::OkStatus();
  model_->Initialize(options_.seed, replica_->x);
  return link_->Initialize(replica_->x);
}

// All start together, so that no worker has the center for itself at first.
absl::Status Session::AwaitAll() {
  pb::JobStatus status;
  return Poll(
      deadline_,
      [&]() -> absl::StatusOr<bool> {
        RETURN_IF_ERROR(env_.servers[0]->GetJob({}, status));
        if (!status.stop().empty()) return absl::AbortedError(status.stop());
        return status.members_size() == options_.workers;
      },
      [&] {
        std::vector<int> missing;
        for (int worker = 0; worker < options_.workers; ++worker) {
          const auto& members = status.members();
          if (std::none_of(members.begin(), members.end(), [&](const auto& m) {
                return m.worker() == worker;
              })) {
            missing.push_back(worker);
          }
        }
        return absl::StrCat("not all workers have come: missing rank ",
                            absl::StrJoin(missing, ", "), " of ",
                            options_.workers);
      });
}

absl::Status Session::Train() {
  BatchSource source(*loader_, *model_, options_.seed, rank_);
  TrainingLoop loop(*trainer_.trainer, *replica_, *link_, source);
  RETURN_IF_ERROR(loop.Start());
  report_.set_startup_s(absl::ToDoubleSeconds(env_.clock.Now() - env_.started));
  next_report_ = env_.clock.Now();
  while (true) {
    // The epoch of the batch to come; the loader moves on when it is taken.
    const int64_t epoch = loader_->epoch();
    ASSIGN_OR_RETURN(const TrainingLoop::Step step, loop.Next());
    if (step.samples == 0) break;
    RETURN_IF_ERROR(AfterStep(step, epoch));
  }
  const int64_t bad = FirstNotFinite(replica_->x.span());
  if (bad >= 0) {
    return absl::OutOfRangeError(
        absl::StrCat("training diverged: parameter ", bad, " of worker ", rank_,
                     " is ", replica_->x[bad], " at its last step ",
                     replica_->step, "; lower --lr (now ", options_.lr, ")"));
  }
  return absl::OkStatus();
}

absl::Status Session::AfterStep(const TrainingLoop::Step& step, int64_t epoch) {
  if (epoch != loss_epoch_) {
    loss_epoch_ = epoch;
    report_.set_loss_sum(0);
    report_.set_loss_samples(0);
  }
  report_.set_loss_sum(report_.loss_sum() + double{step.loss} * step.samples);
  report_.set_loss_samples(report_.loss_samples() + step.samples);
  report_.set_samples(report_.samples() + step.samples);
  RETURN_IF_ERROR(Interrupted());
  if (env_.clock.Now() < next_report_) return absl::OkStatus();
  next_report_ = env_.clock.Now() + kReportEvery;
  // All servers count silence, but only the first one shows progress.
  const bool all = ++reports_ % 10 == 0;
  const absl::Status told = ReportTo(all ? env_.servers.size() : 1, pb::RUNNING,
                                     "", /*keeps_job=*/false);
  // Exchanges retry until a server is back; a lost report is no reason to end.
  return IsLost(told) ? absl::OkStatus() : told;
}

absl::Status Session::ReportTo(size_t servers, pb::WorkerState state,
                               absl::string_view message, bool keeps_job) {
  report_.set_state(state);
  report_.set_message(std::string(message));
  report_.set_keeps_job(keeps_job);
  report_.set_steps(replica_->step);
  report_.set_peak_rss_bytes(ThisProcess().peak_rss_bytes);
  const ShardLink::Counters& counters = link_->counters();
  report_.set_pushes(counters.pushes);
  report_.set_pulls(counters.pulls);
  report_.set_bytes_up(counters.bytes_up);
  report_.set_bytes_down(counters.bytes_down);
  report_.set_samples_refused(counters.samples_refused);
  *report_.mutable_staleness() = {counters.staleness.begin(),
                                  counters.staleness.end()};
  pb::ReportRequest request;
  request.set_job_id(job_id_);
  request.set_worker(rank_);
  request.set_incarnation(env_.incarnation);
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

absl::Status Session::ReportEnd(pb::WorkerState state,
                                absl::string_view message, bool keeps_job) {
  absl::Status told;
  for (int attempt = 0; attempt < kEndReports; ++attempt) {
    told = ReportTo(env_.servers.size(), state, message, keeps_job);
    if (!IsLost(told)) break;
    env_.clock.NewEvent()->Wait(env_.clock.Now() + kReportEvery);
  }
  return told;
}

absl::Status Session::AwaitOthers() {
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
      if (member.silent_s() < kSilentSeconds) continue;
      return absl::UnavailableError(absl::StrCat(
          "worker ", member.worker(), " (host ", member.report().host(),
          ", pid ", member.report().pid(), ") has been silent for ",
          kSilentSeconds, " s: its process is gone or stuck"));
    }
    if (!running || env_.clock.Now() >= patience) return absl::OkStatus();
    env_.clock.NewEvent()->Wait(env_.clock.Now() + kPoll);
  }
}

absl::StatusOr<JobOutcome> Session::Outcome() {
  JobOutcome outcome;
  outcome.options = options_;
  outcome.layout = model_->layout();
  if (rank_ == 0) {
    const Flat& x = replica_->x;
    outcome.parameters = x.Clone();
    // What diverged is not kept: the center is finite, the replica may not be.
    if (trainer_.trainer->traits().result == Result::kCenter ||
        !AllFinite(x.span())) {
      ShardLink observer(LinkConfig(-1), env_.clock);
      RETURN_IF_ERROR(observer.Pull(outcome.parameters));
    }
  }
  RETURN_IF_ERROR(env_.servers[0]->GetJob({}, outcome.status));
  return outcome;
}

pb::WorkerState StateOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return pb::DONE;
    case absl::StatusCode::kOutOfRange:
      return pb::DIVERGED;
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kAborted:  // stopped together with the job
      return pb::INTERRUPTED;
    default:
      return pb::FAILED;
  }
}

absl::StatusOr<JobOutcome> Session::Run() {
  omp_set_num_threads(options_.threads);
  RETURN_IF_ERROR(LearnJob());
  RETURN_IF_ERROR(LoadData());
  RETURN_IF_ERROR(BuildJob());
  const absl::Status joined = Join();
  if (!joined.ok()) {
    // Servers that have taken this worker in must not wait for it.
    ReportTo(env_.servers.size(), pb::FAILED, joined.message(),
             /*keeps_job=*/false)
        .IgnoreError();
    return joined;
  }
  absl::Status ended = AwaitAll();
  if (ended.ok()) ended = Train();
  absl::StatusOr<JobOutcome> outcome = End(ended);
  if (rank_ == 0 && report_.keeps_job()) {
    ReportTo(env_.servers.size(), report_.state(), report_.message(),
             /*keeps_job=*/false)
        .IgnoreError();
  }
  return outcome;
}

absl::StatusOr<JobOutcome> Session::End(const absl::Status& ended) {
  const pb::WorkerState state = StateOf(ended);
  const std::string why =
      state == pb::DIVERGED
          ? absl::StrCat("trainer ", options_.trainer, ": ", ended.message())
          : std::string(ended.message());
  const bool collects = rank_ == 0 && state != pb::FAILED;
  const absl::Status told = ReportEnd(state, why, collects);
  if (state == pb::FAILED) return ended;
  // ABORTED is the job's end told by the server, which knows it already.
  if (!told.ok() && !absl::IsAborted(told)) return told;
  if (collects) {
    absl::Status waited = AwaitOthers();
    if (absl::IsCancelled(waited)) {
      ReportEnd(pb::INTERRUPTED, waited.message(), collects).IgnoreError();
      waited = AwaitOthers();
    }
    RETURN_IF_ERROR(waited);
  }
  return Outcome();
}

}  // namespace

absl::StatusOr<JobOutcome> RunWorker(Options options, int rank,
                                     WorkerEnvironment& environment) {
  if (rank < 0 ||
      (rank >= options.workers && options.given.contains("workers"))) {
    return absl::InvalidArgumentError(
        absl::StrCat("--rank ", rank, ": expected 0 to --workers - 1"));
  }
  return Session(std::move(options), rank, environment).Run();
}

}  // namespace monsoon
