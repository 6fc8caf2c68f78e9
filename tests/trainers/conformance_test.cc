// SPDX-License-Identifier: Apache-2.0
// Registered means tested: what every trainer in the registry owes.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/filesystem.h"
#include "server/hosted_shard.h"
#include "server/server.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;

bool HasWindow(const MadeTrainer& made) {
  return made.resolved.find("window") != made.resolved.end();
}

// Booth with three workers, or as many as the trainer takes, and short windows.
ToyJob SmallJob(const std::string& trainer) {
  const MadeTrainer made = *MakeTrainer(trainer, {}, {});
  ToyJob job{.trainer = trainer,
             .workers = std::min(3, made.trainer->traits().max_workers),
             .lr = 0.005f,
             .start = {90, 90, -3.7f, 11.1f, 0.3f, 0},
             .gradient = Booth};
  if (HasWindow(made)) job.set["window"] = "3";
  return job;
}

// The same with statistics, biases and every local rule.
ToyJob FullJob(const std::string& trainer) {
  ToyJob job = SmallJob(trainer);
  job.start.insert(job.start.end(), {3, 1, 0.5f});
  job.biases = 2;
  job.statistics = 3;
  job.motion = [](int worker, int64_t step, Flat& statistics) {
    const auto seen = static_cast<float>(2 * worker - step % 3);
    ForEach([seen](float& s) { s += 0.1f * (seen - s); }, statistics);
  };
  job.rules.weight_decay = 0.01f;
  job.rules.clip_norm = 40;
  job.rules.schedule = {.shape = Schedule::Shape::kCosine,
                        .epochs = 5,
                        .warmup = 0.5,
                        .first = 0.25};
  job.rules.epoch_samples = 8;
  return job;
}

// Uneven, the same every time: `steps` ranks below `workers`.
std::vector<int> Schedule(int steps, int workers) {
  std::vector<int> schedule;
  for (int i = 0; i < steps; ++i) {
    schedule.push_back((i * i + i / 3) % workers);
  }
  return schedule;
}

struct Outcome {
  explicit Outcome(ScriptedCluster& cluster, int workers)
      : center(cluster.Center()) {
    for (int worker = 0; worker < workers; ++worker) {
      const Values x = cluster.x(worker);
      replicas.insert(replicas.end(), x.begin(), x.end());
    }
  }
  bool operator==(const Outcome& other) const {
    return SameBits(center, other.center) && SameBits(replicas, other.replicas);
  }
  Values center, replicas;
};

Outcome Train(const ToyJob& job) {
  ScriptedCluster cluster(job);
  cluster.Run(Schedule(40, job.workers));
  cluster.EndAll();
  Outcome outcome(cluster, job.workers);
  REQUIRE_FALSE(
      SameBits(Values(outcome.replicas.begin(), outcome.replicas.begin() + 6),
               job.start));
  return outcome;
}

TEST_CASE("Every trainer reaches the minimum of a quadratic", "[trainers]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  const std::string optimizer = GENERATE("sgd", "nesterov");
  CAPTURE(name, optimizer);
  ToyJob job = SmallJob(name);
  job.optimizer = optimizer;
  if (optimizer != "sgd") job.lr /= 10;
  ScriptedCluster cluster(job);
  cluster.RoundRobin(3000);
  cluster.EndAll();
  const Values result = cluster.result();
  for (size_t i = 0; i < result.size(); ++i) {
    CHECK(result[i] == Approx(i % 2 == 0 ? 1 : 3).margin(0.01));
  }
}

TEST_CASE("Every trainer gives the same bits when a schedule is replayed",
          "[trainers]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  CAPTURE(name);
  CHECK(Train(SmallJob(name)) == Train(SmallJob(name)));
  CHECK(Train(FullJob(name)) == Train(FullJob(name)));
}

TEST_CASE("Every trainer gives the same bits on one shard and on three",
          "[trainers]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  const int servers = GENERATE(1, 3);
  const bool full = GENERATE(false, true);
  CAPTURE(name, servers, full);
  ToyJob job = full ? FullJob(name) : SmallJob(name);
  const Outcome one = Train(job);
  job.shards = 3;
  job.servers = servers;
  CHECK(Train(job) == one);
}

TEST_CASE("One worker without windows is single, where the center is answered",
          "[trainers]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  const MadeTrainer made = *MakeTrainer(name, {}, {});
  if (made.trainer->traits().replies != Payload::kCenter) return;
  CAPTURE(name);
  ToyJob job = SmallJob(name);
  if (HasWindow(made)) job.set["window"] = "1";
  const Values result = TrainAlone(job, 30);
  const Values single = TrainAlone(SmallJob("single"), 30);
  for (size_t i = 0; i < single.size(); ++i) {
    CHECK(std::abs(result[i] - single[i]) < 1e-3f);
  }
}

TEST_CASE("Staleness in a round robin is the number of other workers",
          "[trainers]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  CAPTURE(name);
  ToyJob job = SmallJob(name);
  if (job.workers < 3) return;
  job.shards = 2;
  job.set["window"] = "1";
  ScriptedCluster cluster(job);
  cluster.RoundRobin(10);
  // In the first round a worker meets only the pushes of lower ranks.
  using Histogram = std::map<int64_t, int64_t>;
  CHECK(cluster.counters(0).staleness == Histogram{{0, 2}, {2, 18}});
  CHECK(cluster.counters(1).staleness == Histogram{{1, 2}, {2, 18}});
  CHECK(cluster.counters(2).staleness == Histogram{{2, 20}});
}

TEST_CASE("Every trainer exchanges the steps of its last window",
          "[trainers]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  CAPTURE(name);
  const ToyJob job = SmallJob(name);
  ScriptedCluster cluster(job);
  cluster.RoundRobin(7);  // 2 windows of 3 and a step
  cluster.EndAll();
  const MadeTrainer made = *MakeTrainer(name, {}, {});
  const bool pushes = made.trainer->traits().pushes != Payload::kNone;
  CHECK(cluster.JobStatusOf(0).samples_applied() ==
        (pushes ? 7 * job.workers : 0));
}

TEST_CASE("Every trainer's update that is not finite ends the training",
          "[trainers]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  const std::string optimizer = GENERATE("sgd", "adam");
  const MadeTrainer made = *MakeTrainer(name, {}, {});
  if (made.trainer->traits().pushes == Payload::kNone) return;
  CAPTURE(name, optimizer);
  ToyJob job = SmallJob(name);
  job.optimizer = optimizer;
  job.gradient = [](int worker, int64_t step, const Flat& x, Flat& gradient) {
    Booth(worker, step, x, gradient);
    if (worker == 1 && step == 5) gradient[2] = std::nanf("");
  };
  ScriptedCluster cluster(job);
  cluster.Run({1, 1, 1, 1, 1, 0, 2, 0});
  const Values before = cluster.Center();
  CHECK(cluster.Step(1).code() == absl::StatusCode::kOutOfRange);
  CHECK(SameBits(cluster.Center(), before));
  cluster.Run({0, 2, 2});  // the server goes on
  CHECK_FALSE(SameBits(cluster.Center(), before));
}

// A server's shards alone, which a test can save.
class ShardHost final : public ServerCalls {
 public:
  absl::Status GetJob(const pb::GetJobRequest&, pb::JobStatus&) override {
    return absl::UnimplementedError("no jobs here");
  }
  absl::Status Join(const pb::JoinRequest& request, pb::JoinReply&) override {
    const pb::JobSpec& spec = request.spec();
    if (shards_.empty()) {
      made_ = *MakeTrainer(spec.trainer(),
                           {spec.hyper().begin(), spec.hyper().end()}, {});
      const int64_t parameters = LayoutFromProto(spec)->parameters();
      for (int i = 0; i < spec.shards_size(); ++i) {
        const pb::Shard& shard = spec.shards(i);
        shards_.push_back(std::make_unique<HostedShard>(
            i, Flat(shard.size()),
            StatisticsIn({shard.offset(), shard.size(), 0}, parameters),
            HostedShard::Rules{.trainer = *made_.trainer,
                               .samples = spec.samples(),
                               .wire = Wire{},
                               .clock = RealClock()}));
      }
    }
    return absl::OkStatus();
  }
  absl::Status Report(const pb::ReportRequest&, pb::ReportReply&) override {
    return absl::OkStatus();
  }
  void Exchange(ExchangeCall& call) override { ShardOf(call).Exchange(call); }
  void Cancel(ExchangeCall& call) override { ShardOf(call).Cancel(call); }

  void Save(Writer& writer) const {
    for (const auto& shard : shards_) shard->Save(writer);
  }
  void Load(Reader& reader) {
    for (auto& shard : shards_) REQUIRE(shard->Load(reader).ok());
  }

 private:
  HostedShard& ShardOf(const ExchangeCall& call) {
    return *shards_.at(static_cast<size_t>(call.request.shard()));
  }

  MadeTrainer made_;
  std::vector<std::unique_ptr<HostedShard>> shards_;
};

TEST_CASE("Every trainer goes on bit for bit from saved replicas and shards",
          "[trainers]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  const std::string optimizer = GENERATE("sgd", "adam");
  const bool full = GENERATE(false, true);
  CAPTURE(name, optimizer, full);
  ToyJob job = full ? FullJob(name) : SmallJob(name);
  job.optimizer = optimizer;
  job.shards = 2;
  job.make_server = [] { return std::make_unique<ShardHost>(); };
  const std::vector<int> schedule = Schedule(60, job.workers);
  const auto middle = schedule.begin() + 23;

  ScriptedCluster straight(job), stopped(job), resumed(job);
  straight.Run(schedule);
  stopped.Run({schedule.begin(), middle});
  Writer saved;
  stopped.SaveWorkers(saved);
  dynamic_cast<ShardHost&>(stopped.server(0)).Save(saved);
  Reader reader(saved.bytes());
  resumed.LoadWorkers(reader);
  dynamic_cast<ShardHost&>(resumed.server(0)).Load(reader);
  REQUIRE(reader.End().ok());
  resumed.Run({middle, schedule.end()});

  CHECK(Outcome(resumed, job.workers) == Outcome(straight, job.workers));
  CHECK_FALSE(Outcome(resumed, job.workers) == Outcome(stopped, job.workers));
}

TEST_CASE("No trainer moves the center farther than it says", "[trainers]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  std::vector<std::map<std::string, std::string>> sets = {{}};
  if (name == "downpour") {
    sets = {{{"form", "delta"}}};
    for (const std::string& rule : OptimizerNames()) {
      sets.push_back({{"form", "gradient"},
                      {"server_optimizer", rule},
                      {"server_lr", "0.3"}});
    }
  }
  for (const auto& set : sets) {
    const MadeTrainer made = *MakeTrainer(name, set, {});
    const auto reach = double{made.trainer->traits().reach};
    CAPTURE(name, set, reach);
    Shard shard(5);
    Flat value(5);
    for (int step = 0; step < 50; ++step) {
      ForEach([](float& v) { v = v * -1.7f + 0.3f; }, value);
      value[step % 5] += static_cast<float>(step);
      const float weight = step % 3 == 0 ? 4.0f : 0.5f;
      const Flat before = shard.center.Clone();
      const double limit =
          reach *
          (double{Largest(before.span())} + double{Largest(value.span())}) *
          std::max(1.0f, weight);
      made.trainer->Apply({.value = value, .weight = weight}, shard);
      for (int64_t i = 0; i < 5; ++i) {
        CHECK(double{std::abs(shard.center[i] - before[i])} <=
              limit * (1 + 1e-6));
      }
    }
  }
}

// Loses the answer to every push, so that it comes twice.
class LostAnswers final : public ServerCalls {
 public:
  absl::Status GetJob(const pb::GetJobRequest& request,
                      pb::JobStatus& reply) override {
    return server_.GetJob(request, reply);
  }
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override {
    return server_.Join(request, reply);
  }
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override {
    return server_.Report(request, reply);
  }
  void Exchange(ExchangeCall& call) override {
    if (call.request.sequence() > 0) {
      Lost first;
      first.request = call.request;
      first.update = call.update;
      server_.Exchange(first);
    }
    server_.Exchange(call);
  }
  void Cancel(ExchangeCall& call) override { server_.Cancel(call); }

 private:
  struct Lost final : ExchangeCall {
    absl::Span<char> ReplyBuffer(size_t bytes) override {
      reply.resize(bytes);
      return absl::MakeSpan(reply);
    }
    void Finish(absl::Status, pb::ExchangeReply) override {}
    std::vector<char> reply;
  };

  Server server_{RealClock()};
};

TEST_CASE("Every trainer's repeated push is applied once, answered the same",
          "[trainers]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  const bool full = GENERATE(false, true);
  CAPTURE(name, full);
  ToyJob job = full ? FullJob(name) : SmallJob(name);
  job.shards = 2;
  const Outcome once = Train(job);
  job.make_server = [] { return std::make_unique<LostAnswers>(); };
  CHECK(Train(job) == once);
}

TEST_CASE("Every trainer says what it is, and docs/algorithms.md has it",
          "[trainers]") {
  const auto read =
      RealFileSystem().Read(MONSOON_SOURCE_DIR "/docs/algorithms.md");
  REQUIRE(read.ok());
  const std::string& page = *read;
  for (const std::string& name : TrainerNames()) {
    const TrainerEntry& entry = **FindTrainer(name);
    CAPTURE(name);
    CHECK_FALSE(entry.title.empty());
    CHECK_FALSE(entry.equation.empty());
    CHECK_FALSE(entry.source.empty());
    CHECK(MakeOptimizer(entry.optimizer, entry.lr).ok());
    if (name == "discounted") continue;  // this folder's example
    CHECK_THAT(page, Catch::Contains("\n## `" + name + "`"));
    const MadeTrainer made = *MakeTrainer(name, {}, {});
    for (const auto& [key, value] : made.resolved) {
      CHECK_THAT(page, Catch::Contains("`" + key + "`"));
    }
  }
}

}  // namespace
}  // namespace monsoon
