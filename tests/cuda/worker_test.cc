// SPDX-License-Identifier: Apache-2.0
// Whole jobs whose workers compute on a GPU, against the same on the processor.
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <vector>

#include "server/server.h"
#include "tests/worker/local_job.h"
#include "trainers/trainer.h"
#include "worker/run_worker.h"

namespace monsoon {
namespace {

using Catch::Matchers::Contains;

const std::atomic<int> kNoStop{0};

Options TinyJob(const std::string& trainer, const std::string& device) {
  Options options;
  options.trainer = trainer;
  options.model = "mlp:32";
  options.workers = 1;
  options.batch_size = 50;
  options.epochs = 3;
  options.lr = 0.04;
  options.device = device;
  options.connect_timeout = absl::Seconds(30);
  return options;
}

std::vector<absl::StatusOr<JobOutcome>> Run(const Options& options,
                                            const Dataset& data) {
  Server server(RealClock());
  return RunLocalJob(options, {&server}, data, kNoStop);
}

JobOutcome Outcome(const Options& options, const Dataset& data) {
  auto outcomes = Run(options, data);
  for (const auto& outcome : outcomes) {
    INFO(outcome.status());
    REQUIRE(outcome.ok());
  }
  return *std::move(outcomes[0]);
}

// The largest difference of two vectors beside the largest number.
double Difference(const Flat& a, const Flat& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, largest = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, std::abs(double{a[i]} - b[i]));
    largest = std::max(largest, std::abs(double{b[i]}));
  }
  return difference / largest;
}

// Sums are made in another order: each step differs by a few roundings, 6e-8 of
// a number, which training may double a few times; 42 steps.
constexpr double kTolerance = 1e-4;

TEST_CASE("A worker on a GPU comes to what one on the processor does",
          "[cuda]") {
  // The last batch of an epoch is short, the last window too.
  const Dataset data = SmallFashionMnist(680);
  for (const std::string trainer : {"single", "downpour", "adag", "aeasgd"}) {
    for (const std::string optimizer : {"sgd", "nesterov", "adam"}) {
      Options gpu = TinyJob(trainer, "cuda");
      gpu.optimizer = optimizer;
      if (optimizer == "adam") gpu.lr = 0.001;
      const auto made = MakeTrainer(trainer, {}, {});
      if (made->trainer->traits().local_step == LocalStep::kPlain &&
          optimizer != "sgd") {
        continue;
      }
      INFO(trainer << " " << optimizer);
      Options cpu = gpu;
      cpu.device = "cpu";
      const JobOutcome there = Outcome(gpu, data);
      const JobOutcome here = Outcome(cpu, data);
      CHECK(there.options.device == "cuda");
      CHECK(Difference(there.members[0], here.members[0]) < kTolerance);
      const auto& report = there.status.members(0).report();
      const auto& expected = here.status.members(0).report();
      CHECK(report.steps() == expected.steps());
      CHECK(report.samples() == 3 * 680);
      CHECK(report.pushes() == expected.pushes());
      CHECK(report.bytes_up() == expected.bytes_up());
    }
  }
}

// Steps of bf16 are those of fp32 but for roundings of 2^-8, which add up to
// less than a few of them in what training moves.
TEST_CASE("A worker on a GPU trains in bf16", "[cuda]") {
  const Dataset data = SmallFashionMnist(680);
  Options options = TinyJob("adag", "cuda");
  const JobOutcome exact = Outcome(options, data);
  options.precision = "bf16";
  const JobOutcome rounded = Outcome(options, data);
  const double difference = Difference(rounded.members[0], exact.members[0]);
  CHECK(difference > 0);
  CHECK(difference < 0.02);
  CHECK(rounded.status.members(0).report().loss_sum() ==
        Approx(exact.status.members(0).report().loss_sum()).epsilon(0.01));
}

TEST_CASE("Workers of one job may compute on both", "[cuda]") {
  const Dataset data = SmallFashionMnist(400);
  Options options = TinyJob("downpour", "cuda");
  options.workers = 3;
  const JobOutcome outcome = Outcome(options, data);
  CHECK(AllFinite(outcome.members[0]));
  int64_t samples = 0;
  for (const auto& member : outcome.status.members()) {
    samples += member.report().samples();
  }
  CHECK(samples == 3 * 400);
}

TEST_CASE("The losses of a GPU are all counted", "[cuda]") {
  const Dataset data = SmallFashionMnist(330);
  Options options = TinyJob("single", "cuda");
  options.epochs = 1;
  const JobOutcome there = Outcome(options, data);
  options.device = "cpu";
  const JobOutcome here = Outcome(options, data);
  const auto& report = there.status.members(0).report();
  CHECK(report.loss_samples() == 330);
  CHECK(report.loss_sum() ==
        Approx(here.status.members(0).report().loss_sum()).epsilon(1e-4));
}

TEST_CASE("A GPU's loss that is not finite ends the job as diverged",
          "[cuda]") {
  const Dataset data = SmallFashionMnist(600);
  Options options = TinyJob("single", "cuda");
  options.lr = 1e20;
  const auto outcomes = Run(options, data);
  REQUIRE(outcomes[0].ok());
  CHECK(outcomes[0]->status.stop_state() == pb::DIVERGED);
}

TEST_CASE("With --overlap a GPU exchanges beside its steps", "[cuda]") {
  const Dataset data = SmallFashionMnist(400);
  Options gpu = TinyJob("adag", "cuda");
  gpu.overlap = true;
  Options cpu = gpu;
  cpu.device = "cpu";
  CHECK(Difference(Outcome(gpu, data).members[0],
                   Outcome(cpu, data).members[0]) < kTolerance);
}

TEST_CASE("A GPU that is not there fails its worker with a reason", "[cuda]") {
  const Dataset data = SmallFashionMnist(100);
  const auto outcomes = Run(TinyJob("single", "cuda:97"), data);
  CHECK(outcomes[0].status().code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(outcomes[0].status().message()),
             Contains("--device: cuda:97: ") && Contains("this machine has"));
}

}  // namespace
}  // namespace monsoon
