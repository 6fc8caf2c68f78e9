// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "server/server.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;

TEST_CASE("single is the optimizer and nothing else", "[trainers]") {
  ScriptedCluster cluster({.trainer = "single",
                           .optimizer = "momentum",
                           .start = {8},
                           .gradient = Bowl});
  // v = 8, x = 8 - 4; v = 7.2 + 4, x = 4 - 5.6.
  cluster.Run({0});
  CHECK(cluster.x(0) == Values{4});
  cluster.Run({0});
  CHECK(cluster.x(0)[0] == Approx(-1.6));
}

TEST_CASE("single pulls once and pushes nothing", "[trainers]") {
  ScriptedCluster cluster(
      {.trainer = "single", .start = {8, 2}, .gradient = Bowl});
  cluster.RoundRobin(3);
  cluster.EndAll();
  CHECK(cluster.x(0) == Values{1, 0.25f});
  CHECK(cluster.Center() == Values{8, 2});
  CHECK(cluster.counters(0).pushes == 0);
  CHECK(cluster.counters(0).pulls == 1);
}

TEST_CASE("single has one worker and its result is the replica", "[trainers]") {
  const MadeTrainer made = *MakeTrainer("single", {}, {});
  CHECK(made.trainer->traits().max_workers == 1);
  CHECK(made.trainer->traits().result == Result::kReplicas);
  CHECK(made.hyper.empty());
}

}  // namespace
}  // namespace monsoon
