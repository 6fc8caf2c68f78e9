// SPDX-License-Identifier: Apache-2.0
#include "worker/run_worker.h"

#include <omp.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "data/loader.h"
#include "models/model.h"
#include "trainers/trainer.h"
#include "worker/batch_source.h"
#include "worker/compute_device.h"
#include "worker/device_batch_source.h"
#include "worker/membership.h"
#include "worker/overlap_link.h"
#include "worker/shard_link.h"
#include "worker/training_loop.h"

namespace monsoon {
namespace {

// One worker's way through one job, in the order of the methods.
class Session {
 public:
  Session(Options options, int rank, WorkerEnvironment& environment)
      : options_(std::move(options)),
        rank_(rank),
        env_(environment),
        membership_(rank, options_.connect_timeout, environment) {
    options_.servers = static_cast<int>(environment.servers.size());
  }

  absl::StatusOr<JobOutcome> Run();

 private:
  absl::Status LearnJob();
  absl::Status LoadData();
  absl::Status BuildJob();
  // Rank 0 brings the initial center.
  absl::Status Initialize();
  absl::Status Train();
  absl::StatusOr<std::unique_ptr<GradientSource>> MakeSource();
  // What the trainer exchanges by.
  Link& OwnLink();
  absl::Status AfterStep(const TrainingLoop::Step& step, int64_t epoch);
  // When it is time, for the curve.
  void PlanSnapshots();
  absl::Status KeepSnapshot();
  // Brings the numbers of the reports up to date.
  void Count();
  // Tells how it ended; rank 0 waits for the others and collects the outcome.
  absl::StatusOr<JobOutcome> End(const absl::Status& ended);
  absl::StatusOr<JobOutcome> Outcome();
  // What the job has come to: see JobOutcome.
  absl::StatusOr<std::vector<Flat>> Members(ShardLink::Config config);
  ShardLink::Config LinkConfig(int worker) const;
  TraceSink* trace() const {
    return env_.tracer == nullptr ? nullptr : &env_.tracer->OfWorker(rank_);
  }

  Options options_;
  const int rank_;
  WorkerEnvironment& env_;
  // Of steps, and of exchanges beside them; null: the processor computes.
  std::unique_ptr<DeviceQueue> queue_, copies_;
  Membership membership_;

  std::optional<Dataset> own_data_;
  const Dataset* data_ = nullptr;
  MadeTrainer trainer_;
  Wire wire_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Model> model_;
  std::optional<Loader> loader_;
  std::vector<ShardRange> shards_;
  pb::JobSpec spec_;
  std::unique_ptr<Replica> replica_;
  // Behind what its steps use: it waits for them at its end.
  std::unique_ptr<GradientSource> source_;
  std::unique_ptr<ShardLink> link_;
  std::unique_ptr<OverlapLink> overlap_;  // with --overlap
  int64_t loss_epoch_ = 0;
  absl::Time begun_;                                         // the first batch
  int64_t snapshot_every_ = 0, next_snapshot_ = kUnbounded;  // samples
  std::vector<Snapshot> snapshots_;
  TrainingLoop::Times times_;
};

absl::Status Session::LearnJob() {
  if (rank_ == 0) return ResolveOptions(options_);
  ASSIGN_OR_RETURN(const pb::JobStatus status, membership_.AwaitJob());
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
  ASSIGN_OR_RETURN(const WireNames wire, ParseWire(options_.wire));
  ASSIGN_OR_RETURN(
      wire_, MakeWire(wire, options_.trainer, trainer_.trainer->traits()));
  ASSIGN_OR_RETURN(optimizer_, MakeOptimizer(options_.optimizer,
                                             static_cast<float>(options_.lr)));
  const Shape example{data_->channels, data_->height, data_->width};
  RETURN_IF_ERROR(CheckOneLabel(options_.model, example, data_->classes));
  ASSIGN_OR_RETURN(queue_, OpenDevice(options_.device, rank_));
  if (queue_ != nullptr) {
    ASSIGN_OR_RETURN(copies_, queue_->Fork());
  }
  ASSIGN_OR_RETURN(
      model_,
      Model::Build(options_.model, example, data_->classes,
                   {options_.batch_size, static_cast<int>(loader_->tail())},
                   {.label_smoothing = options_.label_smoothing,
                    .precision = PrecisionOf(options_.precision),
                    .queue = queue_.get()}));
  shards_ = CutShards(model_->layout().size(), options_.servers);
  replica_ = std::make_unique<Replica>(
      rank_, model_->layout(), *optimizer_,
      LocalRulesOf(options_, loader_->partition_size()),
      Device{queue_.get()}.memory());
  if (queue_ != nullptr) RETURN_IF_ERROR(queue_->Wait());
  ASSIGN_OR_RETURN(source_, MakeSource());

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
          .job_id = membership_.job_id(),
          .worker = worker,
          .incarnation = env_.incarnation,
          .wire = wire_,
          .parameters = model_->layout().parameters(),
          .max_lead = options_.max_lead < 0 ? kUnbounded : options_.max_lead,
          .interrupted = [this] { return membership_.Interrupted(); },
          .trace = worker < 0 ? nullptr : trace(),
          .copies = worker < 0 ? nullptr : copies_.get()};
}

absl::Status Session::Initialize() {
  link_ = std::make_unique<ShardLink>(LinkConfig(rank_), env_.clock);
  link_->Attach(*replica_);
  if (options_.overlap) {
    overlap_ = std::make_unique<OverlapLink>(*link_, *replica_, env_.clock);
  }
  // Everybody has a start of its own; who pulls the center forgets it.
  model_->Initialize(OwnSeed(options_.seed, rank_), replica_->x);
  if (rank_ != 0) return absl::OkStatus();
  const Flat initial = replica_->x.ToHost();
  if (queue_ != nullptr) RETURN_IF_ERROR(queue_->status());
  return link_->Initialize(initial);
}

absl::StatusOr<std::unique_ptr<GradientSource>> Session::MakeSource() {
  const uint64_t draw = FirstDraw(options_.seed, rank_);
  if (queue_ == nullptr) {
    return std::make_unique<BatchSource>(*loader_, *model_, draw);
  }
  return DeviceBatchSource::Make(*data_, *loader_, *model_, *queue_, draw);
}

Link& Session::OwnLink() {
  if (overlap_ != nullptr) return *overlap_;
  return *link_;
}

absl::Status Session::Train() {
  TrainingLoop loop(*trainer_.trainer, *replica_, OwnLink(), *source_,
                    env_.clock, trace());
  RETURN_IF_ERROR(loop.Start());
  begun_ = env_.clock.Now();
  membership_.numbers().set_startup_s(
      absl::ToDoubleSeconds(begun_ - env_.started));
  PlanSnapshots();
  while (true) {
    // The epoch of the batch to come; the loader moves on when it is taken.
    const int64_t epoch = loader_->epoch();
    ASSIGN_OR_RETURN(const TrainingLoop::Step step, loop.Next());
    times_ = loop.times();
    if (step.samples == 0) {
      AddStep(step, /*begins_epoch=*/false, membership_.numbers());
      break;
    }
    RETURN_IF_ERROR(AfterStep(step, epoch));
    RETURN_IF_ERROR(KeepSnapshot());
  }
  return loop.CheckEnd();
}

absl::Status Session::AfterStep(const TrainingLoop::Step& step, int64_t epoch) {
  const bool begins = std::exchange(loss_epoch_, epoch) != epoch;
  AddStep(step, begins, membership_.numbers());
  RETURN_IF_ERROR(membership_.Interrupted());
  if (!membership_.progress_is_due()) return absl::OkStatus();
  Count();
  return membership_.ReportProgress();
}

void Session::PlanSnapshots() {
  const bool has_one = trainer_.trainer->traits().result == Result::kCenter ||
                       options_.workers == 1;
  if (rank_ != 0 || !has_one) return;
  const int64_t every =
      SnapshotEvery(options_.eval_every, options_.time_to,
                    int64_t{options_.epochs} * data_->total,
                    replica_->x.size() * static_cast<int64_t>(sizeof(float)));
  if (every > 0) snapshot_every_ = next_snapshot_ = every;
}

absl::Status Session::KeepSnapshot() {
  // All workers have done about as many; none is asked.
  const int64_t total = int64_t{options_.epochs} * data_->total;
  const int64_t done = std::min(replica_->samples * options_.workers, total);
  if (done < next_snapshot_ || done == total) return absl::OkStatus();
  next_snapshot_ += snapshot_every_;
  Snapshot snapshot;
  ASSIGN_OR_RETURN(snapshot.members, Members(LinkConfig(-1)));
  pb::JobStatus status;
  RETURN_IF_ERROR(env_.servers[0]->GetJob({}, status));
  snapshot.elapsed_s = status.elapsed_s();
  // In one memory no server counts them.
  snapshot.samples =
      status.samples_applied() > 0 ? status.samples_applied() : done;
  snapshots_.push_back(std::move(snapshot));
  return absl::OkStatus();
}

void Session::Count() {
  pb::WorkerReport& numbers = membership_.numbers();
  numbers.set_steps(replica_->step);
  numbers.set_data_s(absl::ToDoubleSeconds(times_.data));
  numbers.set_compute_s(absl::ToDoubleSeconds(times_.compute));
  numbers.set_exchange_s(absl::ToDoubleSeconds(times_.exchange));
  const ShardLink::Counters counters = link_->counters();
  numbers.set_pushes(counters.pushes);
  numbers.set_pulls(counters.pulls);
  numbers.set_bytes_up(counters.bytes_up);
  numbers.set_bytes_down(counters.bytes_down);
  numbers.set_samples_refused(counters.samples_refused);
  *numbers.mutable_staleness() = {counters.staleness.begin(),
                                  counters.staleness.end()};
}

absl::StatusOr<std::vector<Flat>> Session::Members(ShardLink::Config config) {
  const Flat& x = replica_->x;
  std::vector<Flat> members;
  ShardLink observer(std::move(config), env_.clock);
  // What diverged is not kept: the center is finite, the replica may not be.
  if (trainer_.trainer->traits().result == Result::kCenter || !AllFinite(x)) {
    RETURN_IF_ERROR(observer.Pull(members.emplace_back(x.size())));
    return members;
  }
  for (int worker = 0; worker < options_.workers; ++worker) {
    if (worker == rank_) {
      members.push_back(x.ToHost());
      continue;
    }
    Flat member(x.size());
    const absl::Status pulled = observer.PullResult(worker, member);
    if (absl::IsNotFound(pulled)) continue;  // it did not get to its end
    RETURN_IF_ERROR(pulled);
    members.push_back(std::move(member));
  }
  return members;
}

absl::StatusOr<JobOutcome> Session::Outcome() {
  JobOutcome outcome;
  outcome.options = options_;
  outcome.layout = model_->layout();
  if (rank_ == 0) {
    ShardLink::Config config = LinkConfig(-1);
    config.interrupted = nullptr;  // a signal's result is read after it
    ASSIGN_OR_RETURN(outcome.members, Members(std::move(config)));
    outcome.snapshots = std::move(snapshots_);
  }
  RETURN_IF_ERROR(env_.servers[0]->GetJob({}, outcome.status));
  return outcome;
}

absl::StatusOr<JobOutcome> Session::Run() {
  omp_set_num_threads(options_.threads);
  RETURN_IF_ERROR(LearnJob());
  RETURN_IF_ERROR(LoadData());
  RETURN_IF_ERROR(BuildJob());
  RETURN_IF_ERROR(membership_.Join(spec_));
  absl::Status ended = Initialize();
  if (ended.ok()) ended = membership_.AwaitAll(options_.workers);
  if (ended.ok()) ended = Train();
  if (overlap_ != nullptr) ended.Update(overlap_->Drain());
  absl::StatusOr<JobOutcome> outcome = End(ended);
  membership_.Leave();
  return outcome;
}

absl::StatusOr<JobOutcome> Session::End(const absl::Status& ended) {
  // Who loses its GPU ends alone, as a process that was killed: it falls silent
  // and another may take its rank. To report it would stop the job. Whichever
  // queue was waited for knows it first.
  for (const DeviceQueue* queue : {queue_.get(), copies_.get()}) {
    if (queue != nullptr && absl::IsUnavailable(queue->status())) {
      return queue->status();
    }
  }
  const pb::WorkerState state = StateOfEnd(ended);
  const std::string why =
      state == pb::DIVERGED
          ? absl::StrCat("trainer ", options_.trainer, ": ", ended.message())
          : std::string(ended.message());
  Count();
  const absl::Status told = membership_.End(state, why);
  if (state == pb::FAILED) return ended;
  auto outcome = told.ok() ? Outcome() : absl::StatusOr<JobOutcome>(told);
  // What a signal ended may have come to nothing yet.
  if (!outcome.ok() && state == pb::INTERRUPTED) return ended;
  return outcome;
}

}  // namespace

uint64_t OwnSeed(uint64_t seed, int rank) {
  if (rank == 0) return seed;
  return Random({seed, Random::kInitialize, static_cast<uint64_t>(rank)})
      .Next();
}

void AddStep(const TrainingLoop::Step& step, bool begins_epoch,
             pb::WorkerReport& report) {
  if (begins_epoch) {
    report.set_loss_sum(0);
    report.set_loss_samples(0);
  }
  report.set_loss_sum(report.loss_sum() + step.losses.sum);
  report.set_loss_samples(report.loss_samples() + step.losses.samples);
  report.set_samples(report.samples() + step.samples);
}

pb::WorkerState StateOfEnd(const absl::Status& status) {
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
