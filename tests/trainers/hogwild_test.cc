// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

TEST_CASE("Hogwild's workers step in one memory", "[trainers]") {
  const std::string updates = GENERATE("add", "store");
  ScriptedCluster cluster({.trainer = "hogwild",
                           .set = {{"updates", updates}},
                           .workers = 2,
                           .start = {8, -32},
                           .gradient = Bowl});
  cluster.Run({0});
  CHECK(cluster.Center() == Values{4, -16});
  cluster.Run({1});
  CHECK(cluster.x(1) == Values{4, -16});  // from where it stepped
  cluster.Run({1, 0});
  CHECK(cluster.x(0) == Values{1, -4});
  cluster.EndAll();
  CHECK(cluster.Center() == Values{0.5f, -2});
  CHECK(cluster.counters(0).pushes == 0);
}

TEST_CASE("One worker's Hogwild is single, bit for bit", "[trainers]") {
  const std::string updates = GENERATE("add", "store");
  const int shards = GENERATE(1, 3);
  ToyJob job{.trainer = "hogwild",
             .set = {{"updates", updates}},
             .shards = shards,
             .lr = 0.05f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Booth};
  const Values hogwild = TrainAlone(job, 100);
  job.trainer = "single";
  job.set = {};
  CHECK(SameBits(hogwild, TrainAlone(job, 100)));
}

TEST_CASE("Gradients of one worker each commute in Hogwild, bit for bit",
          "[trainers]") {
  // Supports that do not overlap: any interleaving is the sequential one.
  ToyJob job{.trainer = "hogwild",
             .workers = 2,
             .lr = 0.05f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = [](int worker, int64_t step, const Flat& x, Flat& g) {
               Booth(worker, step, x, g);
               g[2 - 2 * worker] = g[3 - 2 * worker] = 0;
             }};
  ScriptedCluster one(job), other(job);
  for (int i = 0; i < 20; ++i) {
    one.Run({0, 1});
    other.Run({i < 10 ? 1 : 0, i < 10 ? 1 : 0});
  }
  CHECK(SameBits(one.Center(), other.Center()));
}

TEST_CASE("Hogwild's rate follows the schedule, and its gradient the rules",
          "[trainers]") {
  ToyJob job{.trainer = "hogwild",
             .lr = 1,
             .start = {8, -8},
             .gradient = Constant({6}),
             .biases = 1};
  job.rules.weight_decay = 0.25f;
  job.rules.schedule = {.shape = Schedule::Shape::kStep,
                        .epochs = 100,
                        .step_epochs = 1,
                        .decay = 0.5};
  // 6 + 8/4, and 6 of the bias; then half of 6 + 0/4 and of 6.
  CHECK(TrainAlone(job, 1) == Values{0, -14});
  CHECK(TrainAlone(job, 2) == Values{-3, -17});
}

constexpr int kWorkers = 4;
constexpr int64_t kSteps = 500;
// So many that steps of several workers do meet in an element.
constexpr int64_t kSize = 2000;

// What workers with real threads see of one memory that all count up in.
struct Seen {
  std::atomic<int64_t> reads = 0;
  std::atomic<int64_t> unwritten = 0;  // values that no worker can have written
};

ToyJob Counting(const std::string& updates, Seen& seen) {
  return {.trainer = "hogwild",
          .set = {{"updates", updates}},
          .workers = kWorkers,
          .shards = 2,
          .lr = 1,
          .start = Values(kSize),
          .gradient = [&seen](int, int64_t, const Flat& x, Flat& g) {
            int64_t unwritten = 0;
            for (int64_t i = 0; i < x.size(); ++i) {
              const bool is_one = x[i] == std::floor(x[i]) && x[i] >= 0 &&
                                  x[i] <= static_cast<float>(kWorkers * kSteps);
              if (!is_one) ++unwritten;
              g[i] = -1;
            }
            seen.reads += x.size();
            seen.unwritten += unwritten;
          }};
}

TEST_CASE("Hogwild's additions on threads lose nothing", "[trainers]") {
  Seen seen;
  ScriptedCluster cluster(Counting("add", seen));
  REQUIRE(cluster.RunThreads(kSteps).ok());
  CHECK(cluster.Center() == Values(kSize, kWorkers * kSteps));
  CHECK(seen.reads == kSize * kWorkers * kSteps);
  CHECK(seen.unwritten == 0);
}

TEST_CASE("Hogwild's stores on threads may lose steps and never gain any",
          "[trainers]") {
  Seen seen;
  ScriptedCluster cluster(Counting("store", seen));
  REQUIRE(cluster.RunThreads(kSteps).ok());
  const Values center = cluster.Center();
  CHECK(std::all_of(center.begin(), center.end(), [](float count) {
    return count == std::floor(count) && count > 0 &&
           count <= kWorkers * kSteps;
  }));
  CHECK(seen.unwritten == 0);
}

TEST_CASE("Hogwild refuses what has no atomic step", "[trainers]") {
  const MadeTrainer made = *MakeTrainer("hogwild", {}, {});
  CHECK_FALSE(CheckOptimizer("hogwild", made.trainer->traits(),
                             **MakeOptimizer("adam", 0.1f))
                  .ok());
  // Statistics, and a center in several processes.
  const auto sgd = *MakeOptimizer("sgd", 0.1f);
  class NoLink final : public Link {
   public:
    absl::Status Pull(Flat&, Freshness) override { return absl::OkStatus(); }
    absl::Status Push(const Flat&, float) override { return absl::OkStatus(); }
    absl::Status PushPull(const Flat&, Flat&, float, Freshness) override {
      return absl::OkStatus();
    }
  } link;
  Replica plain(0, 3, *sgd);
  CHECK_THAT(std::string(made.trainer->Start(plain, link).message()),
             Catch::Contains("--servers 1"));
  ParameterLayout layout;
  layout.Add("w", {2}, TensorKind::kWeight);
  layout.Add("s", {1}, TensorKind::kStatistic);
  Replica normalized(0, layout, *sgd);
  CHECK_THAT(std::string(made.trainer->Start(normalized, link).message()),
             Catch::Contains("batch normalization"));
}

TEST_CASE("Hogwild's keys, defaults and refusals", "[trainers]") {
  CHECK(MakeTrainer("hogwild", {}, {})->resolved == Set{{"updates", "add"}});
  CHECK_THAT(Refusal("hogwild", {{"updates", "race"}}),
             Catch::Contains("add") && Catch::Contains("store"));
}

}  // namespace
}  // namespace monsoon
