// SPDX-License-Identifier: Apache-2.0
#include "sim/cluster.h"

#include <omp.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "models/model.h"
#include "server/server.h"
#include "sim/network.h"
#include "sim/worker.h"
#include "worker/evaluate.h"

namespace monsoon {
namespace {

// Nothing that is simulated takes longer; more is a defect.
constexpr absl::Duration kForever = absl::Hours(24 * 365 * 1000);

absl::StatusOr<ParameterLayout> LayoutFor(const SimulationInputs& inputs) {
  const GradientKind& kind = inputs.spec.gradients;
  if (kind.parameters > 0) {
    ParameterLayout layout;
    layout.Add("x", {kind.parameters}, TensorKind::kWeight);
    return layout;
  }
  const Dataset& data = inputs.train;
  return LayoutOf(inputs.options.model,
                  {data.channels, data.height, data.width}, data.classes);
}

absl::StatusOr<std::unique_ptr<Model>> BuildModel(
    const SimulationInputs& inputs) {
  const Options& options = inputs.options;
  const Dataset& data = inputs.train;
  const Shape example{data.channels, data.height, data.width};
  RETURN_IF_ERROR(CheckOneLabel(options.model, example, data.classes));
  // The last batches of an epoch: parts of the data differ by one sample.
  std::vector<int> sizes = {options.batch_size};
  for (int64_t part :
       {PartSize(data.total, {0, options.workers}),
        PartSize(data.total, {options.workers - 1, options.workers})}) {
    sizes.push_back(static_cast<int>((part - 1) % options.batch_size + 1));
  }
  return Model::Build(options.model, example, data.classes, sizes,
                      {.label_smoothing = options.label_smoothing,
                       .precision = PrecisionOf(options.precision)});
}

pb::JobSpec SpecOf(const SimulationInputs& inputs, const SimulatedJob& job) {
  pb::JobSpec spec;
  spec.set_trainer(inputs.options.trainer);
  spec.mutable_hyper()->insert(job.trainer.resolved.begin(),
                               job.trainer.resolved.end());
  spec.set_workers(inputs.options.workers);
  spec.set_servers(inputs.options.servers);
  spec.set_samples(inputs.train.total);
  spec.set_data_hash(inputs.train.hash);
  LayoutToProto(job.layout, spec);
  ShardsToProto(job.shards, spec);
  SettingsToSpec(inputs.options, spec);
  return spec;
}

absl::StatusOr<SimulatedJob> MakeJob(const SimulationInputs& inputs,
                                     VirtualClock& clock) {
  const Options& options = inputs.options;
  RETURN_IF_ERROR(CheckDataSize(options, inputs.train.total));
  SimulatedJob job{.options = options,
                   .spec = inputs.spec,
                   .data = inputs.train,
                   .stop = inputs.stop,
                   .clock = clock};
  ASSIGN_OR_RETURN(job.trainer, TrainerOf(options));
  ASSIGN_OR_RETURN(const WireNames wire, ParseWire(options.wire));
  ASSIGN_OR_RETURN(
      job.wire, MakeWire(wire, options.trainer, job.trainer.trainer->traits()));
  ASSIGN_OR_RETURN(
      job.optimizer,
      MakeOptimizer(options.optimizer, static_cast<float>(options.lr)));
  ASSIGN_OR_RETURN(job.layout, LayoutFor(inputs));
  if (!inputs.spec.gradients.is_quadratic) {
    ASSIGN_OR_RETURN(job.model, BuildModel(inputs));
  }
  job.shards = CutShards(job.layout.size(), options.servers);
  job.job = SpecOf(inputs, job);
  job.job_id = Random({options.seed, Random::kProcess}).Next() | 1;
  job.lease = LeaseOf(inputs.spec);
  return job;
}

// Everything that is there during a run.
class Cluster {
 public:
  Cluster(const SimulationInputs& inputs, VirtualClock& clock, SimulatedJob job)
      : inputs_(inputs),
        clock_(clock),
        job_(std::move(job)),
        look_every_(
            SnapshotEvery(inputs.options.eval_every, inputs.options.time_to,
                          int64_t{inputs.options.epochs} * inputs.train.total)),
        next_look_(look_every_) {
    const int workers = inputs.options.workers;
    const int servers = inputs.options.servers;
    on_push_ = [this](int64_t samples, bool refused) {
      if (!refused) Reached(samples);
    };
    for (int i = 0; i < servers; ++i) {
      real_.push_back(
          std::make_unique<Server>(clock, ServerOptions{.lease = job_.lease}));
      ServerCalls* server = real_.back().get();
      if (inputs.seams.server) server = &inputs.seams.server(i, *server, clock);
      servers_.push_back(server);
    }
    server_machines_.resize(static_cast<size_t>(servers));
    worker_machines_.resize(static_cast<size_t>(workers));
    for (int rank = 0; rank < workers; ++rank) AddWorker(rank);
  }

  absl::StatusOr<Simulation> Run();

 private:
  void AddWorker(int rank);
  // So many more samples have reached the center.
  void Reached(int64_t samples);
  absl::Status Look();
  absl::StatusOr<Flat> Center() const;
  absl::Status Finish(Simulation& simulation);
  void Measure(Simulation& simulation) const;

  const SimulationInputs& inputs_;
  VirtualClock& clock_;
  SimulatedJob job_;
  NetworkCalls::OnPush on_push_;
  std::vector<std::unique_ptr<Server>> real_;
  std::vector<ServerCalls*> servers_;  // or what stands in front of them
  std::vector<Machine> server_machines_, worker_machines_;
  std::deque<NetworkCalls> networks_;
  std::deque<SimulatedWorker> workers_;

  int64_t reached_ = 0;
  const int64_t look_every_;  // samples; 0: never
  int64_t next_look_;
  absl::Status looked_;
  std::vector<CurvePoint> curve_;
};

void Cluster::AddWorker(int rank) {
  std::vector<ServerCalls*> calls;
  for (int i = 0; i < inputs_.options.servers; ++i) {
    const auto server = static_cast<size_t>(i);
    ServerCalls* way = &networks_.emplace_back(
        *servers_[server], worker_machines_[static_cast<size_t>(rank)],
        server_machines_[server], inputs_.spec, clock_, on_push_);
    if (inputs_.seams.worker) {
      way = &inputs_.seams.worker(rank, i, *way, clock_);
    }
    calls.push_back(way);
  }
  workers_.emplace_back(job_, rank, std::move(calls));
}

void Cluster::Reached(int64_t samples) {
  reached_ += samples;
  if (inputs_.test == nullptr || next_look_ == 0 || reached_ < next_look_) {
    return;
  }
  next_look_ = (reached_ / look_every_ + 1) * look_every_;
  // When this call is through, at the same time.
  clock_.After(absl::ZeroDuration(), [this] { looked_.Update(Look()); });
}

absl::StatusOr<Flat> Cluster::Center() const {
  ShardLink observer({.servers = {servers_.begin(), servers_.end()},
                      .shards = job_.shards,
                      .job_id = job_.job_id,
                      .worker = -1,
                      .incarnation = 1},
                     clock_);
  Flat center(job_.layout.size());
  RETURN_IF_ERROR(observer.Pull(center));
  return center;
}

absl::Status Cluster::Look() {
  pb::JobStatus status;
  RETURN_IF_ERROR(servers_[0]->GetJob({}, status));
  ASSIGN_OR_RETURN(const Flat center, Center());
  ASSIGN_OR_RETURN(
      const Evaluation found,
      Evaluate(inputs_.options.model, *inputs_.test, {&center, 1}));
  curve_.push_back(
      {status.elapsed_s(), status.samples_applied(), found.accuracy});
  return absl::OkStatus();
}

Utilization Over(const std::vector<absl::Duration>& busy, absl::Duration of) {
  Utilization utilization;
  for (absl::Duration one : busy) {
    const double part = absl::FDivDuration(one, of);
    utilization.mean += part / static_cast<double>(busy.size());
    utilization.max = std::max(utilization.max, part);
  }
  return utilization;
}

Utilization Over(const std::vector<Machine>& machines, Lane Machine::*lane,
                 absl::Duration of) {
  std::vector<absl::Duration> busy;
  for (const Machine& machine : machines) {
    busy.push_back((machine.*lane).busy());
  }
  return Over(busy, of);
}

void Cluster::Measure(Simulation& simulation) const {
  absl::Time end = absl::UnixEpoch();
  std::vector<absl::Duration> computing;
  for (const SimulatedWorker& worker : workers_) {
    const SimulatedWorker::Tally& tally = worker.tally();
    end = std::max(end, tally.ended);
    computing.push_back(tally.computing);
    simulation.samples_lost += tally.samples_lost;
    simulation.crashes += tally.crashes;
    simulation.samples_refused += worker.report().samples_refused();
  }
  const absl::Duration all =
      std::max(end - absl::UnixEpoch(), absl::Nanoseconds(1));
  simulation.virtual_s = absl::ToDoubleSeconds(all);
  simulation.computing = Over(computing, all);
  simulation.worker_out = Over(worker_machines_, &Machine::out, all);
  simulation.worker_in = Over(worker_machines_, &Machine::in, all);
  simulation.server_out = Over(server_machines_, &Machine::out, all);
  simulation.server_in = Over(server_machines_, &Machine::in, all);
  simulation.server_core = Over(server_machines_, &Machine::core, all);
}

absl::Status Cluster::Finish(Simulation& simulation) {
  JobOutcome& outcome = simulation.outcome;
  outcome.options = inputs_.options;
  outcome.layout = job_.layout;
  RETURN_IF_ERROR(servers_[0]->GetJob({}, outcome.status));
  for (size_t server = 1; server < servers_.size(); ++server) {
    RETURN_IF_ERROR(
        servers_[server]->GetJob({}, simulation.other_servers.emplace_back()));
  }
  simulation.samples_applied = outcome.status.samples_applied();
  for (const SimulatedWorker& worker : workers_) {
    if (!worker.result().empty()) {
      outcome.members.push_back(worker.result().Clone());
    }
  }
  if (!outcome.members.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(Flat center, Center());
  outcome.members.push_back(std::move(center));
  return absl::OkStatus();
}

absl::StatusOr<Simulation> Cluster::Run() {
  std::vector<std::function<void()>> actors;
  for (SimulatedWorker& worker : workers_) {
    actors.emplace_back([&worker] { worker.Live(); });
  }
  Simulation simulation;
  absl::Status finished;
  omp_set_num_threads(1);  // the same bits, whatever the machine
  clock_.Run(actors);
  // The servers are asked once more, in no time, by who may wait for them.
  clock_.Run({[&] { finished = Finish(simulation); }});
  if (inputs_.seams.at_end) inputs_.seams.at_end();
  RETURN_IF_ERROR(looked_);
  RETURN_IF_ERROR(finished);
  Measure(simulation);
  simulation.curve = std::move(curve_);
  return simulation;
}

}  // namespace

absl::StatusOr<Simulation> Simulate(const SimulationInputs& inputs) {
  VirtualClock clock(kForever);
  ASSIGN_OR_RETURN(SimulatedJob job, MakeJob(inputs, clock));
  Cluster cluster(inputs, clock, std::move(job));
  return cluster.Run();
}

}  // namespace monsoon
