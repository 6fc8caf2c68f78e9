// SPDX-License-Identifier: Apache-2.0
#include "sim/worker.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "data/partition.h"
#include "worker/batch_source.h"
#include "worker/training_loop.h"

namespace monsoon {
namespace {

// Replicas of fewer floats may well keep what they do not need.
constexpr int64_t kLarge = 1 << 18;
constexpr absl::Duration kRetryPause = absl::Milliseconds(10);

Random Stream(const SimulatedJob& job, Random::Purpose purpose, int rank) {
  return Random({job.options.seed, purpose, static_cast<uint64_t>(rank)});
}

int64_t FirstWindow(const MadeTrainer& trainer) {
  const auto it = trainer.resolved.find("window");
  int64_t window = 1;
  if (it == trainer.resolved.end() || !absl::SimpleAtoi(it->second, &window)) {
    return 1;
  }
  return std::max<int64_t>(1, window);
}

// The workers that are slow: the first of an order that the seed alone says.
bool IsStraggler(const SimulatedJob& job, int rank) {
  const int workers = job.options.workers;
  const auto slow =
      static_cast<size_t>(std::llround(job.spec.stragglers.fraction * workers));
  if (slow == 0) return false;
  std::vector<int64_t> order(static_cast<size_t>(workers));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  Stream(job, Random::kStraggler, 0).Shuffle(order);
  order.resize(slow);
  return std::find(order.begin(), order.end(), rank) != order.end();
}

}  // namespace

struct SimulatedWorker::Process {
  Process(const SimulatedJob& job, int rank, int64_t partition,
          ShardLink::Config config)
      : replica(rank, job.layout, *job.optimizer,
                LocalRulesOf(job.options, partition)),
        link(std::move(config), job.clock) {
    if (job.layout.size() >= kLarge) replica.SaveMemory();
    link.Attach(replica);
  }

  Replica replica;
  ShardLink link;
  int64_t steps_lost = 0;  // whole ones that a crash has taken
  int64_t paid = 0;        // steps whose time has passed, to be computed
};

SimulatedWorker::SimulatedWorker(SimulatedJob& job, int rank,
                                 std::vector<ServerCalls*> servers)
    : job_(job),
      rank_(rank),
      servers_(std::move(servers)),
      plan_{.partition = PartSize(job.data.total, {rank, job.options.workers}),
            .batch_size = job.options.batch_size,
            .epochs = job.options.epochs},
      steps_(Stream(job, Random::kStepTime, rank)),
      crashes_(Stream(job, Random::kCrash, rank)),
      processes_(Stream(job, Random::kProcess, rank)),
      window_(FirstWindow(job.trainer)) {
  if (IsStraggler(job, rank)) slowness_ = job.spec.stragglers.factor;
}

SimulatedWorker::~SimulatedWorker() = default;

void SimulatedWorker::Wait(absl::Duration duration) const {
  job_.clock.NewEvent()->Wait(job_.clock.Now() + duration);
}

absl::Status SimulatedWorker::Retried(
    absl::FunctionRef<absl::Status()> call) const {
  const absl::Time deadline = job_.clock.Now() + job_.options.connect_timeout;
  while (true) {
    absl::Status status = call();
    // The job is not there yet, or the past self not yet forgotten.
    const bool is_early =
        absl::IsNotFound(status) || absl::IsAlreadyExists(status);
    if (!is_early && !absl::IsUnavailable(status)) return status;
    if (job_.clock.Now() >= deadline) return status;
    Wait(kRetryPause);
  }
}

absl::Status SimulatedWorker::Join() {
  pb::JoinRequest request;
  request.set_job_id(job_.job_id);
  request.set_worker(rank_);
  request.set_incarnation(incarnation_);
  *request.mutable_spec() = job_.job;
  for (size_t server = 0; server < servers_.size(); ++server) {
    request.set_server_index(static_cast<int>(server));
    RETURN_IF_ERROR(Retried([&] {
      pb::JoinReply reply;
      return servers_[server]->Join(request, reply);
    }));
  }
  return absl::OkStatus();
}

pb::ReportRequest SimulatedWorker::Ids() const {
  pb::ReportRequest ids;
  ids.set_job_id(job_.job_id);
  ids.set_worker(rank_);
  ids.set_incarnation(incarnation_);
  return ids;
}

void SimulatedWorker::ShowLifeFrom(uint64_t incarnation) {
  // Real workers have a thread for it; here it takes no time, and no network.
  if (incarnation_ != incarnation) return;
  for (ServerCalls* server : servers_) {
    pb::ReportReply reply;
    server->Report(Ids(), reply).IgnoreError();
  }
  job_.clock.After(job_.lease / 4,
                   [this, incarnation] { ShowLifeFrom(incarnation); });
}

absl::Status SimulatedWorker::ShowLife() {
  if (const int signal = job_.stop.load(); signal != 0) {
    return absl::CancelledError(absl::StrCat("interrupted by signal ", signal));
  }
  pb::ReportReply reply;
  const absl::Status told = servers_[0]->Report(Ids(), reply);
  if (absl::IsUnavailable(told)) return absl::OkStatus();
  RETURN_IF_ERROR(told);
  return reply.stop().empty() ? absl::OkStatus()
                              : absl::AbortedError(reply.stop());
}

absl::Status SimulatedWorker::End(const absl::Status& ended) {
  pb::ReportRequest request = Ids();
  report_.set_state(StateOfEnd(ended));
  if (!ended.ok()) {
    report_.set_message(
        absl::StrCat(absl::IsOutOfRange(ended)
                         ? absl::StrCat("trainer ", job_.options.trainer, ": ")
                         : "",
                     ended.message()));
  }
  *request.mutable_report() = report_;
  absl::Status told;
  for (ServerCalls* server : servers_) {
    told.Update(Retried([&] {
      pb::ReportReply reply;
      return server->Report(request, reply);
    }));
  }
  return told;
}

void SimulatedWorker::Live() {
  if (job_.model == nullptr) {
    source_ =
        std::make_unique<QuadraticSource>(plan_, job_.options.seed, rank_);
  } else {
    loader_.emplace(job_.data, rank_, job_.options.workers, plan_.batch_size,
                    plan_.epochs, job_.options.seed);
    source_ = std::make_unique<BatchSource>(
        *loader_, *job_.model, FirstDraw(job_.options.seed, rank_));
  }
  absl::StatusOr<bool> crashed = LiveOnce();
  while (crashed.ok() && *crashed) {
    ++tally_.crashes;
    Wait(job_.spec.restart);
    crashed = LiveOnce();
  }
  status_ = End(crashed.status());
  incarnation_ = 0;
  tally_.ended = job_.clock.Now();
  source_.reset();
  loader_.reset();
}

absl::StatusOr<bool> SimulatedWorker::LiveOnce() {
  incarnation_ = processes_.Next() | 1;
  RETURN_IF_ERROR(Join());
  Process process(
      job_, rank_, plan_.partition,
      {.servers = servers_,
       .shards = job_.shards,
       .job_id = job_.job_id,
       .worker = rank_,
       .incarnation = incarnation_,
       .wire = job_.wire,
       .parameters = job_.layout.parameters(),
       .max_lead =
           job_.options.max_lead < 0 ? kUnbounded : job_.options.max_lead});
  // Schedules count what the rank has done, whichever process did it.
  process.replica.samples = plan_.SamplesBefore(batch_);
  ShowLifeFrom(incarnation_);
  absl::StatusOr<bool> crashed = Train(process);
  if (crashed.ok() && *crashed) incarnation_ = 0;  // shows no life any more
  Count(process);
  return crashed;
}

absl::StatusOr<bool> SimulatedWorker::Train(Process& process) {
  Replica& replica = process.replica;
  const bool keeps_own =
      job_.trainer.trainer->traits().result == Result::kReplicas;
  if (job_.model != nullptr && (keeps_own || (rank_ == 0 && !has_begun_))) {
    job_.model->Initialize(OwnSeed(job_.options.seed, rank_), replica.x);
  }
  if (rank_ == 0 && !has_begun_) {
    RETURN_IF_ERROR(process.link.Initialize(replica.x));
  }
  TrainingLoop loop(*job_.trainer.trainer, replica, process.link, *source_,
                    job_.clock);
  RETURN_IF_ERROR(loop.Start());
  if (!std::exchange(has_begun_, true)) {
    report_.set_startup_s(
        absl::ToDoubleSeconds(job_.clock.Now() - absl::UnixEpoch()));
  }
  while (batch_ < plan_.batches()) {
    ASSIGN_OR_RETURN(const bool crashed, Pass(process));
    if (crashed) return true;
    const int64_t steps = replica.pending;
    ASSIGN_OR_RETURN(const TrainingLoop::Step step, loop.Next());
    --process.paid;
    AfterStep(step);
    if (replica.pending == 0) window_ = steps + 1;
  }
  ASSIGN_OR_RETURN(const TrainingLoop::Step end, loop.Next());
  MONSOON_CHECK(end.samples == 0, "plan and source agree on the batches");
  RETURN_IF_ERROR(loop.CheckEnd());
  if (job_.trainer.trainer->traits().result == Result::kReplicas) {
    result_ = replica.x.Clone();
  }
  return false;
}

absl::StatusOr<bool> SimulatedWorker::Pass(Process& process) {
  // Of a window that is longer than expected, a step at a time.
  const int64_t ahead = process.replica.pending == 0 ? window_ : 1;
  const int64_t needed = std::min(ahead, plan_.batches() - batch_);
  if (process.paid >= needed) return false;
  const double p = job_.spec.crash.per_epoch /
                   static_cast<double>(plan_.batches_per_epoch());
  absl::Duration time;
  int64_t lost = 0;
  while (process.paid + lost < needed) {
    const int64_t index = batch_ + process.paid;
    const absl::Duration step = job_.spec.compute.Draw(steps_) * slowness_ *
                                (static_cast<double>(plan_.SamplesOf(index)) /
                                 static_cast<double>(plan_.batch_size));
    const bool crashes = p > 0 && crashes_.Uniform(0, 1) < p;
    if (crashes) {
      time += step * crashes_.Uniform(0, 1);
      lost = 1;
      break;
    }
    time += step;
    ++process.paid;
  }
  if (process.replica.pending == 0) process.replica.Rest();
  Wait(time);
  tally_.computing += time;
  if (lost > 0) {
    Lose(process, process.paid + lost);
    process.steps_lost += process.paid;
    return true;
  }
  process.replica.Wake();
  RETURN_IF_ERROR(ShowLife());
  return false;
}

void SimulatedWorker::Lose(const Process& process, int64_t batches) {
  tally_.samples_lost += process.replica.pending_samples;
  for (int64_t i = 0; i < batches; ++i, ++batch_) {
    const int samples = source_->Next();
    tally_.samples_lost += samples;
    report_.set_samples(report_.samples() + samples);
  }
}

void SimulatedWorker::AfterStep(const TrainingLoop::Step& step) {
  const int64_t epoch = batch_ / plan_.batches_per_epoch();
  const bool begins = std::exchange(loss_epoch_, epoch) != epoch;
  ++batch_;
  AddStep(step, begins, report_);
}

void SimulatedWorker::Count(const Process& process) {
  const ShardLink::Counters counters = process.link.counters();
  report_.set_steps(report_.steps() + process.replica.step +
                    process.steps_lost);
  report_.set_pushes(report_.pushes() + counters.pushes);
  report_.set_pulls(report_.pulls() + counters.pulls);
  report_.set_bytes_up(report_.bytes_up() + counters.bytes_up);
  report_.set_bytes_down(report_.bytes_down() + counters.bytes_down);
  report_.set_samples_refused(report_.samples_refused() +
                              counters.samples_refused);
  for (const auto& [staleness, pushes] : counters.staleness) {
    (*report_.mutable_staleness())[staleness] += pushes;
  }
}

}  // namespace monsoon
