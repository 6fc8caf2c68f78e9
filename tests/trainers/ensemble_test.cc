// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;

void Own(int worker, int64_t step, const Flat& x, Flat& gradient) {
  Booth(worker, step, x, gradient);
  gradient[0] += static_cast<float>(5 * worker);
}

ToyJob Job(int workers) {
  return {.trainer = "ensemble",
          .workers = workers,
          .optimizer = "nesterov",
          .lr = 0.01f,
          .start = {90, 90, -3.7f, 11.1f},
          .gradient = Own};
}

TEST_CASE("Every member of an ensemble is its own single, bit for bit",
          "[trainers]") {
  const int workers = GENERATE(1, 2, 4);
  ScriptedCluster cluster(Job(workers));
  // However unevenly the others come.
  for (int step = 0; step < 20; ++step) {
    for (int w = workers - 1; w >= 0; --w) cluster.Run({w});
  }
  cluster.EndAll();
  ToyJob single = Job(1);
  single.trainer = "single";
  for (int w = 0; w < workers; ++w) {
    single.gradient = [w](int, int64_t step, const Flat& x, Flat& g) {
      Own(w, step, x, g);
    };
    CHECK(SameBits(cluster.x(w), TrainAlone(single, 20)));
  }
}

TEST_CASE("An ensemble's members are pushed once, when they have ended",
          "[trainers]") {
  ToyJob job = Job(3);
  ScriptedCluster cluster(job);
  cluster.RoundRobin(5);
  CHECK(cluster.counters(1).pushes == 0);
  CHECK(cluster.Center() == job.start);
  cluster.End(1);
  CHECK_FALSE(cluster.IsWaiting(1));
  CHECK(cluster.counters(1).pushes == 1);
  CHECK(cluster.counters(0).pushes == 0);
  CHECK(cluster.Center() == job.start);
}

TEST_CASE("The servers keep every member by itself, and the center as it was",
          "[trainers]") {
  const MadeTrainer made = *MakeTrainer("ensemble", {}, {});
  Shard shard(2);
  Flat x(2);
  for (int worker : {1, 11, 0}) {
    x[0] = static_cast<float>(worker);
    x[1] = -x[0];
    made.trainer->Apply({.value = x, .worker = worker}, shard);
  }
  for (int worker : {0, 1, 11}) {
    const Flat* member = made.trainer->ReplicaOf(worker, shard);
    REQUIRE(member != nullptr);
    CHECK((*member)[0] == static_cast<float>(worker));
    CHECK((*member)[1] == -static_cast<float>(worker));
  }
  CHECK(made.trainer->ReplicaOf(2, shard) == nullptr);
  CHECK(shard.center[0] == 0);
}

TEST_CASE("An ensemble's result are its replicas, and it has no keys",
          "[trainers]") {
  const MadeTrainer made = *MakeTrainer("ensemble", {}, {});
  CHECK(made.trainer->traits().result == Result::kReplicas);
  CHECK(made.resolved.empty());
  CHECK_THAT(Refusal("ensemble", {{"window", "3"}}),
             Catch::Contains("trainer ensemble has no keys"));
}

}  // namespace
}  // namespace monsoon
