// SPDX-License-Identifier: Apache-2.0
// Real threads: what was pushed is in the center, once, whatever the order.
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

constexpr int kWorkers = 4;
constexpr int64_t kSteps = 300;

// A small integer that depends on everything but x: sums of 1200 stay exact.
float Digit(int worker, int64_t step, int64_t i) {
  return static_cast<float>((worker * 5 + step * 3 + i * 7) % 11 - 4);
}

void Digits(int worker, int64_t step, const Flat&, Flat& gradient) {
  for (int64_t i = 0; i < gradient.size(); ++i) {
    gradient[i] = Digit(worker, step, i);
  }
}

ToyJob Job(const std::string& trainer, Set set, int servers) {
  return {.trainer = trainer,
          .set = std::move(set),
          .workers = kWorkers,
          .shards = servers + 1,
          .servers = servers,
          .lr = 1,
          .start = Values(131, 5),
          .gradient = Digits};
}

TEST_CASE("Downpour loses no integer update and applies none twice",
          "[trainers]") {
  const int servers = GENERATE(1, 2, 3, 4);
  const Set set = GENERATE(
      Set{{"form", "gradient"}}, Set{{"form", "gradient"}, {"window", "7"}},
      Set{{"form", "delta"}}, Set{{"form", "delta"}, {"window", "7"}});
  CAPTURE(servers, set);
  ScriptedCluster cluster(Job("downpour", set, servers));
  REQUIRE(cluster.RunThreads(kSteps).ok());
  Values expected(131, 5);
  for (size_t i = 0; i < expected.size(); ++i) {
    for (int worker = 0; worker < kWorkers; ++worker) {
      for (int64_t step = 0; step < kSteps; ++step) {
        expected[i] -= Digit(worker, step, static_cast<int64_t>(i));
      }
    }
  }
  CHECK(cluster.Center() == expected);
  CHECK(cluster.JobStatusOf(0).samples_applied() == kWorkers * kSteps);
}

TEST_CASE("ADAG's integer updates are all in the center", "[trainers]") {
  const int servers = GENERATE(1, 2, 3, 4);
  CAPTURE(servers);
  ToyJob job = Job("adag", {{"window", "7"}}, servers);
  job.gradient = Constant({-1, 2, -3, 4});
  ScriptedCluster cluster(job);
  REQUIRE(cluster.RunThreads(kSteps).ok());
  // 42 windows and a tail of 6 steps, each worth one step.
  CHECK(cluster.Center() == Values(131, 5 - 43 * (-1 + 2 - 3 + 4)));
  CHECK(cluster.JobStatusOf(0).samples_applied() == kWorkers * kSteps);
}

TEST_CASE("AEASGD on threads conserves the sum but for rounding",
          "[trainers]") {
  const int servers = GENERATE(1, 2, 3, 4);
  CAPTURE(servers);
  ScriptedCluster cluster(Job("aeasgd", {{"window", "3"}}, servers));
  REQUIRE(cluster.RunThreads(kSteps).ok());
  for (size_t i = 0; i < 131; ++i) {
    double sum = cluster.Center()[i], expected = 5.0 * (kWorkers + 1);
    for (int worker = 0; worker < kWorkers; ++worker) {
      sum += double{cluster.x(worker)[i]};
      for (int64_t step = 0; step < kSteps; ++step) {
        expected -= double{Digit(worker, step, static_cast<int64_t>(i))};
      }
    }
    CHECK(std::abs(sum - expected) < 0.05);
  }
}

TEST_CASE("Staleness on threads accounts for every shard of every push",
          "[trainers]") {
  ScriptedCluster cluster(Job("downpour", {}, 3));
  REQUIRE(cluster.RunThreads(kSteps).ok());
  for (int worker = 0; worker < kWorkers; ++worker) {
    int64_t pushes = 0;
    for (const auto& [staleness, count] : cluster.counters(worker).staleness) {
      CHECK(staleness >= 0);
      pushes += count;
    }
    CHECK(pushes == kSteps * 4);  // 4 shards
    CHECK(cluster.counters(worker).pushes == kSteps);
  }
}

}  // namespace
}  // namespace monsoon
