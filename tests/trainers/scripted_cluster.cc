// SPDX-License-Identifier: Apache-2.0
#include "tests/trainers/scripted_cluster.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <thread>
#include <utility>

#include "base/status_macros.h"
#include "server/server.h"

namespace monsoon {
namespace {

constexpr uint64_t kJobId = 7;

void Must(const absl::Status& status) {
  INFO(status);
  REQUIRE(status.ok());
}

MadeTrainer Make(const ToyJob& job) {
  JobFacts facts;
  facts.workers = job.workers;
  facts.lr = job.lr;
  facts.optimizer = job.optimizer;
  auto made = MakeTrainer(job.trainer, job.set, facts);
  Must(made.status());
  return *std::move(made);
}

std::unique_ptr<Optimizer> MakeLocal(const ToyJob& job) {
  auto made = MakeOptimizer(job.optimizer, job.lr);
  Must(made.status());
  return *std::move(made);
}

std::vector<ShardRange> Cut(const ToyJob& job) {
  const auto parameters = static_cast<int64_t>(job.start.size());
  std::vector<ShardRange> shards;
  for (int i = 0; i < job.shards; ++i) {
    const int64_t begin = parameters * i / job.shards;
    const int64_t end = parameters * (i + 1) / job.shards;
    shards.push_back({begin, end - begin, i % job.servers});
  }
  return shards;
}

ParameterLayout LayoutOf(const ToyJob& job) {
  const int rest = job.biases + job.statistics;
  ParameterLayout layout;
  layout.Add("x", {static_cast<int64_t>(job.start.size()) - rest},
             TensorKind::kWeight);
  if (job.biases > 0) layout.Add("b", {job.biases}, TensorKind::kNoDecay);
  if (job.statistics > 0) {
    layout.Add("s", {job.statistics}, TensorKind::kStatistic);
  }
  return layout;
}

LocalRules RulesOf(const ToyJob& job) {
  LocalRules rules = job.rules;
  rules.workers = job.workers;
  return rules;
}

Flat StartOf(const ToyJob& job) {
  Flat start(static_cast<int64_t>(job.start.size()));
  std::copy(job.start.begin(), job.start.end(), start.data());
  return start;
}

std::vector<float> Copy(const Flat& values) {
  const Flat here = values.ToHost();
  return {here.span().begin(), here.span().end()};
}

// What exchanges of vectors in this memory need beside it.
std::unique_ptr<DeviceQueue> CopiesOf(MemoryResource& memory) {
  if (memory.queue() == nullptr) return nullptr;
  auto made = memory.queue()->Fork();
  Must(made.status());
  return *std::move(made);
}

ShardLink::Config With(DeviceQueue* copies, ShardLink::Config config) {
  config.copies = copies;
  return config;
}

// Endless batches of one sample, until told to end.
class ToySource final : public GradientSource {
 public:
  ToySource(int worker, const ToyJob& job, const Replica& replica)
      : worker_(worker),
        gradient_(job.gradient),
        motion_(job.motion),
        statistics_(job.statistics),
        replica_(replica),
        scratch_(replica.x.size()) {}

  int Next() override { return ended ? 0 : 1; }
  Losses Gradient(Flat& x, const GradientSink& sink) override {
    if (x.queue() == nullptr) return GradientHere(x, sink);
    // On a device: by way of the host.
    Flat here = x.ToHost(), into = sink.into.ToHost();
    GradientHere(here, {into, sink.scale, sink.beta});
    x.CopyFrom(here);
    sink.into.CopyFrom(into);
    if (sink.listener != nullptr) sink.listener->Take(0, sink.into);
    return {};
  }

  bool ended = false;

 private:
  Losses GradientHere(Flat& x, const GradientSink& sink) {
    gradient_(worker_, replica_.step, x, scratch_);
    const int64_t parameters = x.size() - statistics_;
    Flat no_gradient = scratch_.Slice(parameters, statistics_);
    ForEach([](float& g) { g = 0; }, no_gradient);
    if (motion_) {
      Flat statistics = x.Slice(parameters, statistics_);
      motion_(worker_, replica_.step, statistics);
    }
    ForEach([beta = sink.beta, scale = sink.scale](
                float& into, float g) { into = beta * into + scale * g; },
            sink.into, scratch_);
    if (sink.listener != nullptr) sink.listener->Take(0, sink.into);
    return {};
  }

  const int worker_;
  const ToyGradient gradient_;
  const ToyMotion motion_;
  const int statistics_;
  const Replica& replica_;
  Flat scratch_;
};

}  // namespace

void Booth(int, int64_t, const Flat& x, Flat& gradient) {
  for (int64_t i = 0; i + 1 < x.size(); i += 2) {
    gradient[i] = 10 * x[i] + 8 * x[i + 1] - 34;
    gradient[i + 1] = 8 * x[i] + 10 * x[i + 1] - 38;
  }
}

void Bowl(int, int64_t, const Flat& x, Flat& gradient) { gradient.CopyFrom(x); }

ToyGradient Constant(std::vector<float> by_worker) {
  return [by_worker = std::move(by_worker)](int worker, int64_t, const Flat&,
                                            Flat& gradient) {
    const float value = by_worker.at(static_cast<size_t>(worker));
    ForEach([value](float& g) { g = value; }, gradient);
  };
}

class ScriptedCluster::Worker {
 public:
  Worker(const ToyJob& job, const Trainer& trainer, const Optimizer& optimizer,
         const ShardLink::Config& config, TurnClock& clock)
      : replica(config.worker, LayoutOf(job), optimizer, RulesOf(job),
                job.memory(config.worker)),
        copies(CopiesOf(job.memory(config.worker))),
        link(With(copies.get(), config), clock),
        source(config.worker, job, replica),
        loop(trainer, replica, link, source, clock),
        actor(clock) {
    link.Attach(replica);
    replica.x.CopyFrom(StartOf(job));
  }

  Replica replica;
  std::unique_ptr<DeviceQueue> copies;
  ShardLink link;
  ToySource source;
  TrainingLoop loop;
  bool has_left = false;
  absl::Status status;  // of what it did last
  TurnClock::Actor actor;
};

ScriptedCluster::ScriptedCluster(const ToyJob& job)
    : job_(job), made_(Make(job)), optimizer_(MakeLocal(job)) {
  shards_ = Cut(job_);
  for (int i = 0; i < job_.servers; ++i) {
    servers_.push_back(job_.make_server
                           ? job_.make_server()
                           : std::make_unique<Server>(RealClock()));
  }
  for (int rank = 0; rank < job_.workers; ++rank) {
    Join(rank);
    workers_.push_back(std::make_unique<Worker>(
        job_, *made_.trainer, *optimizer_, LinkConfig(rank), clock_));
    if (rank != 0) continue;
    Must(
        Act(0, [this] { return workers_[0]->link.Initialize(StartOf(job_)); }));
  }
  for (int rank = 0; rank < job_.workers; ++rank) {
    Must(Act(rank, [this, rank] { return worker_of(rank).loop.Start(); }));
  }
}

ScriptedCluster::~ScriptedCluster() {
  for (int rank = 0; rank < job_.workers; ++rank) {
    if (!IsWaiting(rank)) Leave(rank).IgnoreError();
  }
  // Who waits even now is told that the job is over.
  for (int rank = 0; rank < job_.workers; ++rank) {
    if (IsWaiting(rank)) Leave(rank).IgnoreError();
  }
}

ScriptedCluster::Worker& ScriptedCluster::worker_of(int rank) const {
  return *workers_.at(static_cast<size_t>(rank));
}

bool ScriptedCluster::IsWaiting(int worker) const {
  return worker_of(worker).actor.is_busy();
}

absl::Status ScriptedCluster::Act(int rank,
                                  const std::function<absl::Status()>& action) {
  Worker& worker = worker_of(rank);
  worker.actor.Act([&worker, action] { worker.status = action(); });
  if (worker.actor.is_busy()) return absl::OkStatus();
  return worker.status;
}

absl::Status ScriptedCluster::Leave(int rank) {
  Worker& worker = worker_of(rank);
  if (std::exchange(worker.has_left, true)) return absl::OkStatus();
  pb::ReportRequest request;
  request.set_job_id(kJobId);
  request.set_worker(rank);
  request.set_incarnation(static_cast<uint64_t>(rank) + 1);
  const bool waits = worker.actor.is_busy();
  request.mutable_report()->set_state(waits ? pb::INTERRUPTED : pb::DONE);
  request.mutable_report()->set_message(waits ? "the test is over" : "");
  // On a worker's thread, so that whoever it wakes has gone on afterwards.
  TurnClock::Actor teller(clock_);
  absl::Status told;
  teller.Act([&] {
    for (const auto& server : servers_) {
      pb::ReportReply reply;
      told.Update(server->Report(request, reply));
    }
  });
  return told;
}

void ScriptedCluster::Join(int worker) {
  pb::JoinRequest request;
  request.set_job_id(kJobId);
  request.set_worker(worker);
  request.set_incarnation(static_cast<uint64_t>(worker) + 1);
  pb::JobSpec& spec = *request.mutable_spec();
  spec.set_trainer(job_.trainer);
  for (const auto& [key, value] : made_.resolved) {
    (*spec.mutable_hyper())[key] = value;
  }
  LayoutToProto(LayoutOf(job_), spec);
  ShardsToProto(shards_, spec);
  spec.set_servers(job_.servers);
  spec.set_workers(job_.workers);
  spec.set_samples(100);
  if (job_.max_staleness != kUnbounded) {
    spec.set_max_staleness(job_.max_staleness);
  }
  for (int i = 0; i < job_.servers; ++i) {
    request.set_server_index(i);
    pb::JoinReply reply;
    Must(server(i).Join(request, reply));
  }
}

ShardLink::Config ScriptedCluster::LinkConfig(int worker) const {
  ShardLink::Config config;
  for (const auto& server : servers_) config.servers.push_back(server.get());
  config.shards = shards_;
  config.job_id = kJobId;
  config.worker = worker;
  config.incarnation = static_cast<uint64_t>(worker) + 1;
  config.max_lead = job_.max_lead;
  return config;
}

void ScriptedCluster::Run(const std::vector<int>& schedule) {
  for (int worker : schedule) Must(Step(worker));
}

void ScriptedCluster::RunReady(const std::vector<int>& schedule) {
  for (int worker : schedule) {
    if (!IsWaiting(worker)) Must(Step(worker));
  }
}

absl::Status ScriptedCluster::Step(int worker) {
  INFO("worker " << worker << " still waits for others");
  REQUIRE_FALSE(IsWaiting(worker));
  Must(worker_of(worker).status);  // of what it waited for meanwhile
  return Act(worker, [&] { return worker_of(worker).loop.Next().status(); });
}

void ScriptedCluster::RoundRobin(int64_t rounds) {
  for (int64_t i = 0; i < rounds; ++i) {
    for (int worker = 0; worker < job_.workers; ++worker) RunReady({worker});
  }
}

void ScriptedCluster::End(int worker) {
  worker_of(worker).source.ended = true;
  Run({worker});
  if (!IsWaiting(worker)) Must(Leave(worker));
}

absl::Status ScriptedCluster::TryEnd(int worker) {
  worker_of(worker).source.ended = true;
  return Step(worker);
}

void ScriptedCluster::EndAll() {
  // Every pass lets at least one go that the others waited for.
  for (int pass = 0; pass <= 2 * job_.workers; ++pass) {
    for (int rank = 0; rank < job_.workers; ++rank) {
      Worker& worker = worker_of(rank);
      if (worker.has_left || IsWaiting(rank)) continue;
      if (!worker.source.ended) {
        End(rank);
      } else {
        Must(worker.status);
        Must(Leave(rank));
      }
    }
  }
  for (int rank = 0; rank < job_.workers; ++rank) {
    INFO("worker " << rank << " waits for ever");
    REQUIRE(worker_of(rank).has_left);
  }
}

absl::Status ScriptedCluster::RunThreads(int64_t steps) {
  std::vector<absl::Status> results(workers_.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < workers_.size(); ++i) {
    threads.emplace_back([&worker = *workers_[i], &result = results[i], steps] {
      for (int64_t step = 0; step <= steps && result.ok(); ++step) {
        worker.source.ended = step == steps;
        result = worker.loop.Next().status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& result : results) RETURN_IF_ERROR(result);
  return absl::OkStatus();
}

std::vector<float> ScriptedCluster::Center() {
  ShardLink observer(LinkConfig(-1), RealClock());
  Flat center(static_cast<int64_t>(job_.start.size()));
  Must(observer.Pull(center));
  return Copy(center);
}

std::vector<float> ScriptedCluster::result() {
  const bool replicas = made_.trainer->traits().result == Result::kReplicas;
  return replicas ? x(0) : Center();
}

std::vector<float> ScriptedCluster::x(int worker) const {
  return Copy(workers_.at(static_cast<size_t>(worker))->replica.x);
}

ShardLink::Counters ScriptedCluster::counters(int worker) const {
  return workers_.at(static_cast<size_t>(worker))->link.counters();
}

Answer ScriptedCluster::last(int worker) const {
  return worker_of(worker).link.last();
}

int64_t ScriptedCluster::steps() const {
  int64_t steps = 0;
  for (const auto& worker : workers_) steps += worker->replica.step;
  return steps;
}

pb::JobStatus ScriptedCluster::JobStatusOf(int index) {
  pb::JobStatus status;
  Must(server(index).GetJob({}, status));
  return status;
}

ServerCalls& ScriptedCluster::server(int index) {
  return *servers_.at(static_cast<size_t>(index));
}

void ScriptedCluster::SaveWorkers(Writer& writer) const {
  for (const auto& worker : workers_) {
    worker->replica.Save(writer);
    worker->link.Save(writer);
  }
}

void ScriptedCluster::LoadWorkers(Reader& reader) {
  for (auto& worker : workers_) {
    Must(worker->replica.Load(reader));
    Must(worker->link.Load(reader));
  }
}

std::vector<float> TrainAlone(ToyJob job, int64_t steps) {
  job.workers = 1;
  ScriptedCluster cluster(job);
  cluster.RoundRobin(steps);
  cluster.EndAll();
  return cluster.result();
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace monsoon
