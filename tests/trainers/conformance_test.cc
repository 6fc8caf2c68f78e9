// SPDX-License-Identifier: Apache-2.0
// Registered means tested: what every trainer in the registry owes, each once,
// for all of them.
#include "tests/trainers/conformance.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/filesystem.h"
#include "base/random.h"
#include "server/hosted_shard.h"
#include "server/server.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;

std::string WaitsForAll(const Subject& s) {
  const std::string nothing = ExchangesNothing(s);
  if (!nothing.empty()) return nothing;
  return s.traits.synchronous
             ? "synchronous: every exchange waits for its round"
             : "";
}

const Property kMinimum("minimum",
                        "reaches the minimum of a quadratic with three "
                        "workers, with a plain and a momentum optimizer where "
                        "it may have one");

TEST_CASE("Every trainer reaches the minimum of a quadratic", "[trainers]") {
  // On a device, bit for bit: tests/cuda/trainers_test.cc.
  if (AreOnDevice()) return;
  const Subject subject = GENERATE(from_range(Owing(kMinimum)));
  const std::string optimizer = GENERATE("sgd", "nesterov");
  CAPTURE(subject.name, optimizer);
  ToyJob job = SmallJob(subject.name);
  job.optimizer = optimizer;
  if (optimizer != "sgd") job.lr /= 10;
  const bool takes_plain = subject.traits.local_step == LocalStep::kPlain &&
                           subject.name != "downpour";
  if (takes_plain && optimizer != "sgd") return;
  ScriptedCluster cluster(job);
  cluster.RoundRobin(3000);
  cluster.EndAll();
  const Values result = cluster.result();
  for (size_t i = 0; i < result.size(); ++i) {
    CHECK(result[i] == Approx(i % 2 == 0 ? 1 : 3).margin(0.02));
  }
}

const Property kReplay("replay",
                       "a logged schedule that is replayed gives the same "
                       "center and replicas, bit for bit");

TEST_CASE("Every trainer gives the same bits when a schedule is replayed",
          "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kReplay)));
  CAPTURE(subject.name);
  CHECK(Train(SmallJob(subject.name)) == Train(SmallJob(subject.name)));
  CHECK(Train(FullJob(subject.name)) == Train(FullJob(subject.name)));
}

const Property kShards("shards",
                       "the same bits on one shard, and on three shards of "
                       "one server and of three");

TEST_CASE("Every trainer gives the same bits on one shard and on three",
          "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kShards)));
  const int servers = GENERATE(1, 3);
  const bool full = GENERATE(false, true);
  if (subject.traits.maps_center && servers > 1) return;  // refused
  CAPTURE(subject.name, servers, full);
  ToyJob job = full ? FullJob(subject.name) : SmallJob(subject.name);
  const Outcome one = Train(job);
  job.shards = 3;
  job.servers = servers;
  CHECK(Train(job) == one);
}

const Property kSingle(
    "single", "one worker with window 1 and plain sgd is `single`",
    [](const Subject& s) -> std::string {
      if (s.traits.replies == Payload::kElastic) {
        return "elastic: one worker still has a center beside its replica";
      }
      if (s.name == "gem" || s.name == "fedadam" || s.name == "diloco" ||
          s.name == "diloco_async") {
        return "momentum or scaling on the servers: equal with that switched "
               "off, which its own tests show";
      }
      return "";
    });

TEST_CASE("One worker without windows is single", "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kSingle)));
  CAPTURE(subject.name);
  ToyJob job = SmallJob(subject.name);
  if (subject.has_window) job.set["window"] = "1";
  const Values result = TrainAlone(job, 30);
  const Values single = TrainAlone(SmallJob("single"), 30);
  for (size_t i = 0; i < single.size(); ++i) {
    CHECK(std::abs(result[i] - single[i]) < 1e-3f);
  }
}

const Property kStaleness("staleness",
                          "in a round robin the staleness that is measured, "
                          "and that the trainer sees, is the number of other "
                          "workers",
                          [](const Subject& s) -> std::string {
                            return s.traits.max_workers == 1
                                       ? ExchangesNothing(s)
                                       : WaitsForAll(s);
                          });

TEST_CASE("Staleness in a round robin is the number of other workers",
          "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kStaleness)));
  CAPTURE(subject.name);
  ToyJob job = SmallJob(subject.name);
  job.shards = 2;
  if (subject.has_window) job.set["window"] = "1";
  ScriptedCluster cluster(job);
  cluster.RoundRobin(10);
  // In the first round a worker meets only the pushes of lower ranks.
  using Histogram = std::map<int64_t, int64_t>;
  CHECK(cluster.counters(0).staleness == Histogram{{0, 2}, {2, 18}});
  CHECK(cluster.counters(1).staleness == Histogram{{1, 2}, {2, 18}});
  CHECK(cluster.counters(2).staleness == Histogram{{2, 20}});
  CHECK(cluster.last(2).staleness == 2);
  // By shard, as the servers saw it.
  const pb::JobStatus status = cluster.JobStatusOf(0);
  REQUIRE(status.shard_staleness_size() == 2);
  for (const auto& [shard, histogram] : status.shard_staleness()) {
    CHECK(Histogram(histogram.counts().begin(), histogram.counts().end()) ==
          Histogram{{0, 1}, {1, 1}, {2, 28}});
  }
}

const Property kTails("samples",
                      "windows that do not divide the steps: every sample "
                      "reaches the center, or is counted as refused",
                      [](const Subject& s) -> std::string {
                        return s.traits.pushes == Payload::kNone
                                   ? ExchangesNothing(s)
                                   : "";
                      });

TEST_CASE("Every trainer exchanges the steps of its last window",
          "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kTails)));
  CAPTURE(subject.name);
  const ToyJob job = SmallJob(subject.name);
  ScriptedCluster cluster(job);
  for (int step = 0; step < 7 * job.workers; ++step) {  // 2 windows and a step
    cluster.RunReady({step % job.workers});
  }
  cluster.EndAll();
  const pb::JobStatus status = cluster.JobStatusOf(0);
  CHECK(status.samples_applied() == 7 * job.workers);
  CHECK(status.samples_refused() == 0);
}

const Property kTooOld(
    "too old",
    "with --max-staleness a push that is too many rounds behind is refused, "
    "its samples are counted, and its worker goes on from the center",
    [](const Subject& s) -> std::string {
      if (s.traits.replies == Payload::kElastic) {
        return "elastic: each update is computed from the center that it "
               "meets, so none is old";
      }
      return ExchangesNothing(s);
    });

TEST_CASE("Every trainer goes on from the center when its push is too old",
          "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kTooOld)));
  CAPTURE(subject.name);
  ToyJob job = SmallJob(subject.name);
  job.max_staleness = 4;
  if (subject.has_window) job.set["window"] = "1";
  ScriptedCluster cluster(job);
  // Worker 2 is slow: 12 steps of the others to one of its own.
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 12; ++i) cluster.RunReady({i % 2});
    cluster.RunReady({2});
    if (subject.traits.synchronous || subject.name == "ssp") continue;
    CHECK(cluster.last(2).refused);
    CHECK(cluster.last(2).staleness == 12);
    CHECK(SameBits(cluster.x(2), cluster.Center()));
  }
  const int64_t steps = cluster.steps();
  cluster.EndAll();
  const pb::JobStatus status = cluster.JobStatusOf(0);
  CHECK(status.samples_applied() + status.samples_refused() == steps);
  const bool waits = subject.traits.synchronous || subject.name == "ssp";
  if (!waits) CHECK(status.samples_refused() == 5);
  CHECK(cluster.counters(2).samples_refused == status.samples_refused());
}

const Property kLead(
    "lead",
    "with --max-lead a worker waits while its exchanges are that many ahead of "
    "the slowest worker's, and goes on when that one does",
    [](const Subject& s) -> std::string {
      if (s.traits.replies == Payload::kElastic) {
        return "elastic: a push is answered with what follows from it, at "
               "once, so that --max-lead is refused";
      }
      return WaitsForAll(s);
    });

TEST_CASE("Every asynchronous trainer waits where it leads by too much",
          "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kLead)));
  if (subject.traits.max_workers == 1) return;
  CAPTURE(subject.name);
  ToyJob job = SmallJob(subject.name);
  job.max_lead = 2;
  job.shards = 2;
  if (subject.has_window) job.set["window"] = "1";
  ScriptedCluster cluster(job);
  cluster.Run({0, 0});
  CHECK_FALSE(cluster.IsWaiting(0));
  cluster.Run({0});  // 3 exchanges against none
  CHECK(cluster.IsWaiting(0));
  cluster.Run({1});
  CHECK(cluster.IsWaiting(0));  // worker 2 has none
  cluster.Run({2});
  CHECK_FALSE(cluster.IsWaiting(0));
  CHECK(cluster.last(0).staleness == 0);
  CHECK(SameBits(cluster.x(0), cluster.Center()));
  cluster.Run({0});
  CHECK(cluster.IsWaiting(0));
  cluster.EndAll();
}

const Property kSilence(
    "silence", "a worker that takes no step stops nobody",
    [](const Subject& s) -> std::string {
      if (s.name == "ssp") {
        return "its bound is the point: who is max_lead clocks ahead waits "
               "until the slowest goes on, ends, or its lease is over";
      }
      return s.traits.synchronous
                 ? "synchronous: a round waits for all until one ends, or its "
                   "lease is over"
                 : "";
    });

TEST_CASE("One worker's silence does not stop the others", "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kSilence)));
  CAPTURE(subject.name);
  const ToyJob job = SmallJob(subject.name);
  ScriptedCluster cluster(job);
  for (int step = 0; step < 40; ++step) {
    cluster.Run({step % std::max(1, job.workers - 1)});
  }
  for (int worker = 0; worker < job.workers; ++worker) {
    CHECK_FALSE(cluster.IsWaiting(worker));
  }
}

TEST_CASE("Who waits goes on when the silent worker ends", "[trainers]") {
  for (const std::string& name : TrainerNames()) {
    const MadeTrainer made = *MakeTrainer(name, {}, {});
    if (!made.trainer->traits().synchronous && name != "ssp") continue;
    CAPTURE(name);
    ScriptedCluster cluster(SmallJob(name));
    for (int step = 0; step < 40; ++step) cluster.RunReady({step % 2});
    if (cluster.IsWaiting(0)) {
      cluster.End(2);
      CHECK_FALSE((cluster.IsWaiting(0) && cluster.IsWaiting(1)));
    }
    cluster.EndAll();
  }
}

const Property kDiverges(
    "divergence",
    "an update that is not finite ends its worker's training with OUT_OF_RANGE "
    "and changes nothing on the servers",
    [](const Subject& s) -> std::string {
      return s.traits.pushes == Payload::kNone ? ExchangesNothing(s) : "";
    });

TEST_CASE("Every trainer's update that is not finite ends the training",
          "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kDiverges)));
  const std::string optimizer = GENERATE("sgd", "adam");
  CAPTURE(subject.name, optimizer);
  ToyJob job = SmallJob(subject.name);
  if (subject.traits.local_step == LocalStep::kPlain && optimizer != "sgd" &&
      subject.name != "downpour") {
    return;
  }
  job.optimizer = optimizer;
  job.workers = 1;
  job.gradient = [](int worker, int64_t step, const Flat& x, Flat& gradient) {
    Booth(worker, step, x, gradient);
    if (step == 5) gradient[2] = std::nanf("");
  };
  ScriptedCluster cluster(job);
  absl::Status status;
  Values before = cluster.Center();
  for (int step = 0; step < 6 && status.ok(); ++step) {
    before = cluster.Center();
    status = cluster.Step(0);
  }
  if (status.ok()) status = cluster.TryEnd(0);
  CHECK(status.code() == absl::StatusCode::kOutOfRange);
  CHECK(SameBits(cluster.Center(), before));
}

const Property kFinite("finite",
                       "the center stays finite after any order of any "
                       "exchanges, also when the training diverges",
                       [](const Subject&) { return std::string(); });

TEST_CASE("Every trainer's center is finite after any order of exchanges",
          "[trainers]") {
  const Subject subject = GENERATE(from_range(Owing(kFinite)));
  CAPTURE(subject.name);
  const uint64_t seeds = AreOnDevice() ? 2 : 20;  // an emulated one is slow
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    Random random({seed, Random::kPlan});
    ToyJob job = seed % 2 == 0 ? FullJob(subject.name) : SmallJob(subject.name);
    job.rules.clip_norm = 0;
    job.lr = random.Uniform(0.001f, 4.0f);  // beyond every threshold
    if (job.set.contains("server_lr")) job.set.erase("server_lr");
    ScriptedCluster cluster(job);
    absl::Status status;
    for (int i = 0; i < 400 && status.ok(); ++i) {
      const auto worker =
          static_cast<int>(random.Below(static_cast<uint64_t>(job.workers)));
      if (!cluster.IsWaiting(worker)) status = cluster.Step(worker);
      if (i % 20 != 0) continue;
      const Values center = cluster.Center();
      CAPTURE(seed, i, job.lr);
      REQUIRE(AllFinite(center));
    }
    if (!status.ok()) {
      CHECK(status.code() == absl::StatusCode::kOutOfRange);
    }
  }
}

TEST_CASE("Every trainer says what it is, and docs/trainers.md has it",
          "[trainers]") {
  const std::string page =
      *RealFileSystem().Read(MONSOON_SOURCE_DIR "/docs/trainers.md");
  for (const std::string& name : TrainerNames()) {
    const TrainerEntry& entry = **FindTrainer(name);
    CAPTURE(name);
    CHECK_FALSE(entry.title.empty());
    CHECK_FALSE(entry.equation.empty());
    CHECK_FALSE(entry.source.empty());
    const auto optimizer = MakeOptimizer(entry.optimizer, entry.lr);
    REQUIRE(optimizer.ok());
    JobFacts facts;
    facts.optimizer = entry.optimizer;
    const MadeTrainer made = *MakeTrainer(name, {}, facts);
    CHECK(CheckOptimizer(name, made.trainer->traits(), **optimizer).ok());
    if (name == "discounted") continue;  // this folder's example
    CHECK_THAT(page, Catch::Contains("\n## `" + name + "`"));
    for (const auto& [key, value] : made.resolved) {
      CHECK_THAT(page, Catch::Contains("`" + key + "`"));
    }
  }
}

// MONSOON_UPDATE=1 in the environment writes it.
TEST_CASE("docs/trainers.md has the conformance matrix of this build",
          "[trainers]") {
  const std::string path = MONSOON_SOURCE_DIR "/docs/trainers.md";
  const std::string begin = "<!-- conformance -->\n", end = "<!-- end -->\n";
  std::string page = *RealFileSystem().Read(path);
  const size_t from = page.find(begin), to = page.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  const std::string matrix = ConformanceMatrix();
  if (std::getenv("MONSOON_UPDATE") != nullptr) {
    page = page.substr(0, from + begin.size()) + matrix + page.substr(to);
    REQUIRE(RealFileSystem().Write(path, page).ok());
    return;
  }
  INFO("run this test with MONSOON_UPDATE=1 and look at what changed");
  CHECK(page.substr(from + begin.size(), to - from - begin.size()) == matrix);
}

}  // namespace
}  // namespace monsoon
