// SPDX-License-Identifier: Apache-2.0
#include "worker/run_worker.h"

#include <omp.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <numeric>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "models/model.h"
#include "server/server.h"
#include "tests/worker/local_job.h"
#include "trainers/trainer.h"
#include "worker/evaluate.h"

namespace monsoon {
namespace {

using Catch::Contains;

const std::atomic<int> kNoStop{0};
constexpr int kEpochs = 6;
// On so few samples the default rates swing up and down for long.
constexpr double kRate = 0.04;
// Chance is 0.1.
constexpr double kLearnt = 0.35;

Options TinyJob(const std::string& trainer, int workers) {
  Options options;
  options.trainer = trainer;
  options.model = "mlp:32";
  options.workers = workers;
  options.batch_size = 50;
  options.epochs = kEpochs;
  options.lr = kRate;
  options.connect_timeout = absl::Seconds(2);
  return options;
}

struct LocalServers {
  explicit LocalServers(int count) {
    for (int i = 0; i < count; ++i) {
      owned.push_back(std::make_unique<Server>(RealClock()));
      calls.push_back(owned.back().get());
    }
  }
  std::vector<std::unique_ptr<Server>> owned;
  std::vector<ServerCalls*> calls;
};

int64_t Samples(const pb::JobStatus& status) {
  int64_t samples = 0;
  for (const auto& member : status.members()) {
    samples += member.report().samples();
  }
  return samples;
}

Traits TraitsOf(const std::string& trainer) {
  return MakeTrainer(trainer, {}, {})->trainer->traits();
}

// Adds up how long each worker did what.
class Times final : public Tracer, public TraceSink {
 public:
  TraceSink& OfWorker(int) override { return *this; }
  void Add(const TraceSpan& span) override {
    absl::MutexLock lock(&mu_);
    sums_[span.kind] += span.end - span.begin;
    ++counts_[span.kind];
  }
  double seconds(TraceKind kind) {
    absl::MutexLock lock(&mu_);
    return absl::ToDoubleSeconds(sums_[kind]);
  }
  int64_t count(TraceKind kind) {
    absl::MutexLock lock(&mu_);
    return counts_[kind];
  }

 private:
  absl::Mutex mu_;
  std::map<TraceKind, absl::Duration> sums_;
  std::map<TraceKind, int64_t> counts_;
};

TEST_CASE("A trace has the steps, requests and times of the report") {
  Options options = TinyJob("downpour", 1);
  options.set = {{"window", "7"}};  // and a shorter one at the end
  LocalServers servers(3);
  Times times;
  const auto outcomes = RunLocalJob(options, servers.calls,
                                    SmallFashionMnist(600), kNoStop, &times);
  REQUIRE(outcomes[0].ok());
  const pb::WorkerReport& report = outcomes[0]->status.members(0).report();
  CHECK(times.count(TraceKind::kCompute) == report.steps());
  CHECK(times.count(TraceKind::kExchange) ==
        std::max(report.pushes(), report.pulls()) - 1);
  const auto shards =
      static_cast<int64_t>(CutShards(outcomes[0]->layout.size(), 3).size());
  CHECK(times.count(TraceKind::kPush) + times.count(TraceKind::kPushPull) ==
        report.pushes() * shards);
  CHECK(times.seconds(TraceKind::kData) ==
        Approx(report.data_s()).epsilon(0.01));
  CHECK(times.seconds(TraceKind::kCompute) ==
        Approx(report.compute_s()).epsilon(0.01));
  CHECK(times.seconds(TraceKind::kExchange) ==
        Approx(report.exchange_s()).epsilon(0.01));
  CHECK(times.seconds(TraceKind::kWait) > 0);
}

TEST_CASE("Every trainer learns, uses every sample once, on 1 and 3 servers") {
  const Dataset data = SmallFashionMnist(2003);  // tails everywhere
  for (const std::string& trainer : TrainerNames()) {
    for (int servers : {1, 3}) {
      const int workers = trainer == "single" ? 1 : 2;
      if (servers > 1 && TraitsOf(trainer).maps_center) continue;
      LocalServers local(servers);
      auto outcomes =
          RunLocalJob(TinyJob(trainer, workers), local.calls, data, kNoStop);
      INFO(trainer << " on " << servers << ": " << outcomes[0].status());
      REQUIRE(outcomes[0].ok());
      const pb::JobStatus& status = outcomes[0]->status;
      CHECK(status.stop_state() == pb::RUNNING);
      CHECK(Samples(status) == kEpochs * 2003);
      if (TraitsOf(trainer).pushes != Payload::kNone) {
        CHECK(status.samples_applied() == kEpochs * 2003);
      }
      CHECK(status.elapsed_s() > 0);
      CHECK(AllFinite(outcomes[0]->members.at(0).span()));
      const auto evaluation = Evaluate("mlp:32", data, outcomes[0]->members);
      REQUIRE(evaluation.ok());
      CHECK(evaluation->accuracy > kLearnt);
    }
  }
}

TEST_CASE("An evaluation has the bits of one batch after the other") {
  omp_set_num_threads(1);
  const Dataset data = SmallFashionMnist(2003);
  const auto model = *Model::Build("cnn", {1, 28, 28}, data.classes, {500, 3},
                                   {.trains = false});
  Flat x(model->layout().size());
  model->Initialize(7, x);
  double loss_sum = 0;
  int64_t correct = 0;
  for (int64_t begin = 0; begin < data.size(); begin += 500) {
    std::vector<int64_t> rows(
        static_cast<size_t>(std::min<int64_t>(500, data.size() - begin)));
    std::iota(rows.begin(), rows.end(), begin);
    Gather(data, absl::MakeSpan(rows), model->input(), model->labels());
    const Score score = model->Evaluate(static_cast<int>(rows.size()), x);
    loss_sum += score.loss_sum;
    correct += score.correct;
  }
  for (int again = 0; again < 3; ++again) {
    const auto found = Evaluate("cnn", data, {&x, 1});
    REQUIRE(found.ok());
    CHECK(found->loss == loss_sum / 2003);
    CHECK(found->accuracy == static_cast<double>(correct) / 2003);
  }
}

TEST_CASE("Every trainer learns by a schedule, with decay and clipping") {
  const Dataset data = SmallFashionMnist(2003);
  for (const std::string& trainer : TrainerNames()) {
    Options options = TinyJob(trainer, trainer == "single" ? 1 : 2);
    options.lr = 2 * kRate;
    options.lr_schedule = "cosine";
    options.warmup = 0.5;
    options.weight_decay = 1e-3;
    options.clip_norm = 5;
    LocalServers local(TraitsOf(trainer).maps_center ? 1 : 2);
    auto outcomes = RunLocalJob(options, local.calls, data, kNoStop);
    INFO(trainer << ": " << outcomes[0].status());
    REQUIRE(outcomes[0].ok());
    CHECK(Samples(outcomes[0]->status) == kEpochs * 2003);
    const auto evaluation = Evaluate("mlp:32", data, outcomes[0]->members);
    REQUIRE(evaluation.ok());
    CHECK(evaluation->accuracy > kLearnt);
  }
}

TEST_CASE("Trainers learn while their exchanges overlap, and lose no sample") {
  const Dataset data = SmallFashionMnist(2003);
  for (const std::string trainer : {"adag", "downpour"}) {
    Options options = TinyJob(trainer, 2);
    options.overlap = true;
    options.set["window"] = "3";
    LocalServers local(2);
    auto outcomes = RunLocalJob(options, local.calls, data, kNoStop);
    INFO(trainer << ": " << outcomes[0].status());
    REQUIRE(outcomes[0].ok());
    const pb::JobStatus& status = outcomes[0]->status;
    CHECK(status.stop_state() == pb::RUNNING);
    CHECK(Samples(status) == kEpochs * 2003);
    CHECK(status.samples_applied() == kEpochs * 2003);
    const auto evaluation = Evaluate("mlp:32", data, outcomes[0]->members);
    REQUIRE(evaluation.ok());
    CHECK(evaluation->accuracy > kLearnt);
  }
}

TEST_CASE("Label smoothing reaches the loss that is trained") {
  const Dataset data = SmallFashionMnist(500);
  double losses[2] = {};
  for (const bool smooth : {false, true}) {
    Options options = TinyJob("single", 1);
    options.epochs = 1;
    options.label_smoothing = smooth ? 0.5 : 0;
    LocalServers local(1);
    auto outcomes = RunLocalJob(options, local.calls, data, kNoStop);
    REQUIRE(outcomes[0].ok());
    const pb::WorkerReport& numbers = outcomes[0]->status.members(0).report();
    losses[smooth ? 1 : 0] =
        numbers.loss_sum() / static_cast<double>(numbers.loss_samples());
  }
  CHECK(losses[1] > losses[0] + 0.01);
}

TEST_CASE("A server's rate that no center survives is a divergence") {
  const Dataset data = SmallFashionMnist(1000);
  Options options = TinyJob("downpour", 2);
  options.optimizer = "sgd";
  options.set = {{"server_lr", "1e38"}};
  LocalServers local(2);
  auto outcomes = RunLocalJob(options, local.calls, data, kNoStop);
  REQUIRE(outcomes[0].ok());
  CHECK(outcomes[0]->status.stop_state() == pb::DIVERGED);
  CHECK(AllFinite(outcomes[0]->members.at(0).span()));
}

TEST_CASE("The sequential trainer gives the same bits twice") {
  const Dataset data = SmallFashionMnist(500);
  std::vector<Flat> results;
  for (int i = 0; i < 2; ++i) {
    LocalServers local(1);
    auto outcomes =
        RunLocalJob(TinyJob("single", 1), local.calls, data, kNoStop);
    REQUIRE(outcomes[0].ok());
    results.push_back(std::move(outcomes[0]->members.at(0)));
  }
  CHECK(std::memcmp(results[0].data(), results[1].data(),
                    static_cast<size_t>(results[0].size()) * 4) == 0);
}

TEST_CASE("A training that diverges ends with the reason and a finite center") {
  const Dataset data = SmallFashionMnist(1000);
  for (const std::string& trainer : TrainerNames()) {
    Options options = TinyJob(trainer, trainer == "single" ? 1 : 2);
    options.optimizer = "sgd";
    options.lr = 1e30;
    LocalServers local(TraitsOf(trainer).maps_center ? 1 : 2);
    auto outcomes = RunLocalJob(options, local.calls, data, kNoStop);
    INFO(trainer << ": " << outcomes[0].status());
    REQUIRE(outcomes[0].ok());
    const pb::JobStatus& status = outcomes[0]->status;
    CHECK(status.stop_state() == pb::DIVERGED);
    CHECK_THAT(status.stop(), Contains("worker") && Contains("step") &&
                                  Contains("--lr") && Contains(trainer));
    CHECK(!outcomes[0]->members.empty());
    CHECK(AllFinite(outcomes[0]->members.at(0).span()));
  }
}

TEST_CASE(
    "A rank outside the job is refused, whoever says how many there are") {
  const Dataset data = SmallFashionMnist(1000);
  LocalServers local(1);
  Options options = TinyJob("adag", 1);
  options.epochs = 1'000'000;
  std::atomic<int> stop{0};
  std::thread job([&] { RunLocalJob(options, local.calls, data, stop); });
  WorkerEnvironment environment{.clock = RealClock(),
                                .files = RealFileSystem(),
                                .servers = local.calls,
                                .stop = kNoStop,
                                .started = RealClock().Now(),
                                .incarnation = 77,
                                .train = &data};
  Options late;
  late.connect_timeout = absl::Seconds(5);
  const auto outcome = RunWorker(late, 3, environment);
  stop = 15;
  job.join();
  REQUIRE(absl::IsInvalidArgument(outcome.status()));
  CHECK_THAT(std::string(outcome.status().message()), Contains("--rank 3"));
}

TEST_CASE("A signal ends all workers, and the center is kept") {
  const Dataset data = SmallFashionMnist(1000);
  Options options = TinyJob("adag", 2);
  options.epochs = 1'000'000;
  LocalServers local(1);
  std::atomic<int> stop{0};
  std::thread signal([&] {
    RealClock().NewEvent()->Wait(RealClock().Now() + absl::Milliseconds(300));
    stop = 2;
  });
  auto outcomes = RunLocalJob(options, local.calls, data, stop);
  signal.join();
  REQUIRE(outcomes[0].ok());
  CHECK(outcomes[0]->status.stop_state() == pb::INTERRUPTED);
  CHECK(!outcomes[0]->members.empty());
}

TEST_CASE("A worker that never comes is named in time") {
  const Dataset data = SmallFashionMnist(1000);
  Options options = TinyJob("adag", 2);
  options.connect_timeout = absl::Milliseconds(300);
  LocalServers local(1);
  WorkerEnvironment environment{.clock = RealClock(),
                                .files = RealFileSystem(),
                                .servers = local.calls,
                                .stop = kNoStop,
                                .started = RealClock().Now(),
                                .job_id = 1,
                                .incarnation = 1,
                                .train = &data};
  const auto first = RunWorker(options, 0, environment);
  REQUIRE(absl::IsUnavailable(first.status()));
  CHECK_THAT(std::string(first.status().message()),
             Contains("missing rank 1 of 2"));
  LocalServers empty(1);
  environment.servers = empty.calls;
  const auto second = RunWorker(options, 1, environment);
  REQUIRE(absl::IsUnavailable(second.status()));
  CHECK_THAT(std::string(second.status().message()), Contains("rank 0"));
}

}  // namespace
}  // namespace monsoon
