// SPDX-License-Identifier: Apache-2.0
// What every trainer does with a schedule, weight decay and clipping.
#include <catch2/catch.hpp>
#include <limits>

#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

struct Case {
  std::string trainer;
  Set set;
};

// Trainers that with one worker and no windows are single.
const std::vector<Case> kLikeSingle = {
    {"single", {}},
    {"adag", {{"window", "1"}}},
    {"adag_distance", {{"window", "1"}}},
    {"averaging", {}},
    {"dcasgd", {}},
    {"diloco",
     {{"window", "1"}, {"server_optimizer", "sgd"}, {"server_lr", "1"}}},
    {"diloco_async", {{"window", "1"}, {"momentum", "0"}, {"server_lr", "1"}}},
    {"dynsgd", {{"window", "1"}}},
    {"ensemble", {}},
    {"fedavg", {}},
    {"fedprox", {{"mu", "0"}}},
    {"gem", {{"momentum", "0"}}},
    {"local_sgd", {{"window", "1"}}},
    {"ssp", {{"window", "1"}}},
    {"staleness_lr", {}},
    {"sync", {}},
    {"downpour", {{"form", "delta"}}},
    {"downpour", {{"form", "gradient"}}},
};

// Halves the rate after every step.
Schedule Halving() {
  return {.shape = Schedule::Shape::kStep,
          .epochs = 100,
          .step_epochs = 1,
          .decay = 0.5};
}

TEST_CASE("A schedule holds for every trainer", "[trainers]") {
  for (const Case& each : kLikeSingle) {
    CAPTURE(each.trainer, each.set);
    ToyJob job{.trainer = each.trainer,
               .set = each.set,
               .lr = 0.5f,
               .start = {0},
               .gradient = Constant({8})};
    job.rules.schedule = Halving();
    CHECK(TrainAlone(job, 1) == Values{-4});
    CHECK(TrainAlone(job, 2) == Values{-6});
    CHECK(TrainAlone(job, 3) == Values{-7});
    job.rules.epoch_samples = 2;
    CHECK(TrainAlone(job, 3) == Values{-10});
  }
}

TEST_CASE("A window's gradients take the server's rate at their exchange",
          "[trainers]") {
  ToyJob job{.trainer = "downpour",
             .set = {{"window", "2"}, {"server_lr", "0.25"}},
             .lr = 0.5f,
             .start = {0},
             .gradient = Constant({8})};
  job.rules.schedule = Halving();
  ScriptedCluster cluster(job);
  cluster.Run({0});
  CHECK(cluster.x(0) == Values{-4});
  CHECK(cluster.Center() == Values{0});
  cluster.Run({0});  // 0.25 / 2 * (8 + 8)
  CHECK(cluster.Center() == Values{-2});
  cluster.Run({0});  // a quarter of the worker's rate
  CHECK(cluster.x(0) == Values{-3});
  cluster.End(0);  // the tail, at the rate of its last step
  CHECK(cluster.Center() == Values{-2.5f});
}

TEST_CASE("A warmup and a cosine are the trainer's every step", "[trainers]") {
  ToyJob job{
      .trainer = "single", .lr = 1, .start = {0}, .gradient = Constant({-16})};
  job.rules.schedule = {.shape = Schedule::Shape::kCosine,
                        .epochs = 4,
                        .warmup = 2,
                        .first = 0.5};
  // 0.5, 0.75, then 1 and 0.5 of the cosine's two epochs.
  CHECK(TrainAlone(job, 4)[0] == Approx(16 * (0.5 + 0.75 + 1 + 0.5)));
}

TEST_CASE("Decay is added to the gradient of weights, not of biases",
          "[trainers]") {
  for (const Case& each : kLikeSingle) {
    CAPTURE(each.trainer, each.set);
    ToyJob job{.trainer = each.trainer,
               .set = each.set,
               .lr = 0.5f,
               .start = {2, -4, 8, 16},
               .gradient = Constant({1}),
               .biases = 1,
               .statistics = 1};
    job.rules.weight_decay = 0.5f;
    // g + x / 2: 2, -1 and, for the bias, 1.
    CHECK(TrainAlone(job, 1) == Values{1, -3.5f, 7.5f, 16});
    // 1.5, -0.75, 1.
    CHECK(TrainAlone(job, 2) == Values{0.25f, -3.125f, 7, 16});
  }
}

TEST_CASE("A gradient longer than the limit is scaled, all of it",
          "[trainers]") {
  const ToyGradient gradient = [](int, int64_t step, const Flat&, Flat& g) {
    const float length = step == 0 ? 1.0f : 0.5f;
    g[0] = 3 * length;
    g[1] = 4 * length;
  };
  for (const Case& each : kLikeSingle) {
    CAPTURE(each.trainer, each.set);
    ToyJob job{.trainer = each.trainer,
               .set = each.set,
               .lr = 1,
               .start = {0, 0, 7},
               .gradient = gradient,
               .biases = 1,
               .statistics = 1};
    job.rules.clip_norm = 2.5f;
    CHECK(TrainAlone(job, 1) == Values{-1.5f, -2, 7});  // (3, 4) / 2
    CHECK(TrainAlone(job, 2) == Values{-3, -4, 7});     // 2.5 is not above 2.5
  }
}

TEST_CASE("A window sums what was clipped and decays, step by step",
          "[trainers]") {
  ToyJob job{.trainer = "downpour",
             .set = {{"window", "3"}},
             .lr = 0.5f,
             .start = {8},
             .gradient = Constant({6})};
  job.rules.clip_norm = 2;
  job.rules.weight_decay = 0.25f;
  ScriptedCluster cluster(job);
  // g = 2 + x / 4. x: 8, 6, 4.25; g: 4, 3.5, 3.0625.
  cluster.Run({0, 0});
  CHECK(cluster.x(0) == Values{4.25f});
  cluster.Run({0});
  CHECK(cluster.Center() == Values{8 - 0.5f * (4 + 3.5f + 3.0625f)});
  // The next window starts from nothing.
  const float c = cluster.Center()[0];
  cluster.Run({0});
  cluster.End(0);
  CHECK(cluster.Center()[0] == Approx(c - 0.5f * (2 + c / 4)));
}

TEST_CASE("A gradient that is not finite stays so when it is clipped",
          "[trainers]") {
  for (const Case& each : kLikeSingle) {
    // Who exchanges nothing, or at the end alone: the loop looks then.
    const bool waits = each.trainer == "single" || each.trainer == "ensemble" ||
                       each.trainer == "averaging";
    if (waits) continue;
    CAPTURE(each.trainer, each.set);
    ToyJob job{.trainer = each.trainer,
               .set = each.set,
               .start = {1, 1},
               .gradient = [](int, int64_t, const Flat&, Flat& g) {
                 g[1] = std::numeric_limits<float>::infinity();
               }};
    job.rules.clip_norm = 1;
    ScriptedCluster cluster(job);
    CHECK(absl::IsOutOfRange(cluster.Step(0)));
    CHECK(cluster.Center() == Values{1, 1});
  }
}

}  // namespace
}  // namespace monsoon
