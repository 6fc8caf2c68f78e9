// SPDX-License-Identifier: Apache-2.0
// What every trainer owes where servers are saved, lose answers, or meet real
// threads.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/flat.h"
#include "server/hosted_shard.h"
#include "server/server.h"
#include "tests/trainers/conformance.h"
#include "transport/forwarding.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;

// A server's shards alone, which a test can save.
class ShardHost final : public ServerCalls {
 public:
  absl::Status GetJob(const pb::GetJobRequest&, pb::JobStatus&) override {
    return absl::UnimplementedError("no jobs here");
  }
  absl::Status Join(const pb::JoinRequest& request, pb::JoinReply&) override {
    const pb::JobSpec& spec = request.spec();
    if (shards_.empty()) {
      JobFacts facts;
      facts.workers = spec.workers();
      made_ = *MakeTrainer(spec.trainer(),
                           {spec.hyper().begin(), spec.hyper().end()}, facts);
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
    live_.push_back(request.worker());
    Tell();
    return absl::OkStatus();
  }
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply&) override {
    if (request.report().state() == pb::INTERRUPTED) {
      for (const auto& shard : shards_) {
        shard->Stop(absl::AbortedError(request.report().message()));
      }
    }
    std::erase(live_, request.worker());
    Tell();
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

  void Tell() {
    for (const auto& shard : shards_) shard->SetLive(live_);
  }

  MadeTrainer made_;
  std::vector<int> live_;
  std::vector<std::unique_ptr<HostedShard>> shards_;
};

const Property kCheckpoint(
    "checkpoint",
    "replicas and shards that were saved in the middle go on bit for bit",
    [](const Subject& s) -> std::string {
      return s.traits.maps_center
                 ? "its state is the center's memory itself, which the "
                   "shards save"
                 : "";
    });

TEST_CASE("Every trainer goes on bit for bit from saved replicas and shards",
          "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kCheckpoint)));
  const std::string optimizer = GENERATE("sgd", "adam", "lamb");
  const bool full = GENERATE(false, true);
  CAPTURE(subject.name, optimizer, full);
  ToyJob job = full ? FullJob(subject.name) : SmallJob(subject.name);
  if (subject.traits.local_step != LocalStep::kAny && optimizer != "sgd") {
    return;
  }
  job.optimizer = optimizer;
  job.shards = 2;
  job.make_server = [] { return std::make_unique<ShardHost>(); };
  // A save is taken while nobody waits: there rounds stop in their middle, and
  // others do anywhere.
  std::vector<int> schedule;
  const int workers = job.workers;
  for (int i = 0; i < 60; ++i) schedule.push_back(i % workers);
  const int at = subject.traits.synchronous ? 7 * workers : 23;
  const auto middle = schedule.begin() + at;

  ScriptedCluster straight(job), stopped(job), resumed(job);
  straight.RunReady(schedule);
  stopped.RunReady({schedule.begin(), middle});
  for (int worker = 0; worker < workers; ++worker) {
    REQUIRE_FALSE(stopped.IsWaiting(worker));
  }
  Writer saved;
  stopped.SaveWorkers(saved);
  dynamic_cast<ShardHost&>(stopped.server(0)).Save(saved);
  Reader reader(saved.bytes());
  resumed.LoadWorkers(reader);
  dynamic_cast<ShardHost&>(resumed.server(0)).Load(reader);
  REQUIRE(reader.End().ok());
  resumed.RunReady({middle, schedule.end()});

  CHECK(Outcome(resumed, workers) == Outcome(straight, workers));
  CHECK_FALSE(Outcome(resumed, workers) == Outcome(stopped, workers));
}

const Property kReach("reach",
                      "no update moves the center farther than Traits::reach "
                      "says, by which a shard knows that it stays finite",
                      [](const Subject& s) -> std::string {
                        if (s.traits.pushes == Payload::kNone) {
                          return ExchangesNothing(s);
                        }
                        return std::isfinite(s.traits.reach)
                                   ? ""
                                   : "no such bound: the shard looks at every "
                                     "update's result instead";
                      });

TEST_CASE("No trainer moves the center farther than it says", "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kReach)));
  std::vector<std::map<std::string, std::string>> sets = {{}};
  if (subject.name == "downpour") {
    sets.push_back({{"form", "delta"}});
    sets.push_back({{"form", "gradient"}, {"server_lr", "3"}});
  }
  if (subject.name == "gem") sets.push_back({{"clamp_max", "9"}});
  for (const auto& set : sets) {
    const MadeTrainer made = *MakeTrainer(subject.name, set, {});
    const auto reach = double{made.trainer->traits().reach};
    CAPTURE(subject.name, set, reach);
    Shard shard(5);
    Flat value(5);
    for (int step = 0; step < 50; ++step) {
      ForEach([](float& v) { v = v * -1.7f + 0.3f; }, value);
      value[step % 5] += static_cast<float>(step);
      const float factor = step % 3 == 0 ? 4.0f : 0.5f;
      const Flat before = shard.center.Clone();
      const double limit =
          reach *
          (double{Largest(before.span())} + double{Largest(value.span())}) *
          std::max(1.0f, factor);
      made.trainer->Apply({.value = value, .weight = 64, .lr_factor = factor},
                          shard);
      for (int64_t i = 0; i < 5; ++i) {
        CHECK(double{std::abs(shard.center[i] - before[i])} <=
              limit * (1 + 1e-6));
      }
    }
  }
}

// Loses the answer to every push, so that it comes twice.
class LostAnswers final : public ForwardingCalls {
 public:
  LostAnswers() : ForwardingCalls(server_) {}

  void Exchange(ExchangeCall& call) override {
    if (call.request.sequence() == 0) return server_.Exchange(call);
    // Its answer is lost; one that waits for others is given up by its sender.
    Lost first;
    first.request = call.request;
    first.update = call.update;
    server_.Exchange(first);
    server_.Cancel(first);
    server_.Exchange(call);
  }

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

const Property kOnce("once",
                     "a push whose answer was lost, and that comes again, is "
                     "applied once and answered the same",
                     [](const Subject& s) -> std::string {
                       return s.traits.pushes == Payload::kNone
                                  ? ExchangesNothing(s)
                                  : "";
                     });

TEST_CASE("Every trainer's repeated push is applied once, answered the same",
          "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kOnce)));
  const bool full = GENERATE(false, true);
  CAPTURE(subject.name, full);
  ToyJob job = full ? FullJob(subject.name) : SmallJob(subject.name);
  job.shards = 2;
  const Outcome once = Train(job);
  job.make_server = [] { return std::make_unique<LostAnswers>(); };
  CHECK(Train(job) == once);
}

const Property kThreads(
    "conservation",
    "under real threads, with updates that are whole numbers: what workers "
    "pushed is what the center, or center and replicas together, moved by",
    [](const Subject& s) -> std::string {
      if (!s.exchanges()) return ExchangesNothing(s);
      if (s.traits.synchronous && s.traits.reach == 1) return "";
      if (s.name == "adag" || s.name == "aeasgd" || s.name == "eamsgd" ||
          s.name == "downpour" || s.name == "ssp" || s.name == "dcasgd" ||
          s.name == "sync") {
        return "";
      }
      return "scales updates by what others did meanwhile, or by state on the "
             "servers: their sum is not conserved";
    });

TEST_CASE("What workers push under real threads is what the center moves by",
          "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kThreads)));
  CAPTURE(subject.name);
  constexpr int kSteps = 48;
  ToyJob job = SmallJob(subject.name);
  job.workers = 4;
  job.shards = 3;
  job.lr = 1;
  job.start = {512, -64, 0, 8};
  job.gradient = Constant({-4, 8, -16, 28});
  if (subject.has_window) job.set["window"] = "4";
  if (subject.name == "eamsgd") job.set["momentum"] = "0";
  if (subject.name == "dcasgd") job.set["lambda"] = "0";
  if (subject.traits.replies == Payload::kElastic) job.set["alpha"] = "0.5";
  // Elastic differences halve: a few exchanges stay exact.
  const int steps = subject.traits.replies == Payload::kElastic ? 8 : kSteps;
  ScriptedCluster cluster(job);
  REQUIRE(cluster.RunThreads(steps).ok());
  // All four together walk -16 a step; rounds take the mean of four, and adag
  // the mean of four steps.
  float sum = -16.0f * static_cast<float>(steps);
  if (subject.name == "adag" || subject.traits.synchronous) sum /= 4;
  const Values center = cluster.Center();
  for (size_t i = 0; i < center.size(); ++i) {
    double moved = double{center[i]} - double{job.start[i]};
    if (subject.traits.replies == Payload::kElastic) {
      for (int worker = 0; worker < 4; ++worker) {
        moved += double{cluster.x(worker)[i]} - double{job.start[i]};
      }
    }
    CHECK(moved == double{sum});
  }
}

}  // namespace
}  // namespace monsoon
