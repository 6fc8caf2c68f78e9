// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;

TEST_CASE("ADAG pushes the mean of a window's steps", "[trainers]") {
  ScriptedCluster cluster({.trainer = "adag",
                           .set = {{"window", "2"}},
                           .workers = 2,
                           .start = {8},
                           .gradient = Bowl});
  cluster.Run({0, 0});  // x0: 8, 4, 2; u = -6 / 2
  CHECK(cluster.Center() == Values{5});
  CHECK(cluster.x(0) == Values{5});
  cluster.Run({1, 1});  // x1: 8, 4, 2; u = -3 again
  CHECK(cluster.Center() == Values{2});
  CHECK(cluster.x(1) == Values{2});
  cluster.Run({0, 0});  // x0: 5, 2.5, 1.25; u = -3.75 / 2
  CHECK(cluster.Center() == Values{0.125f});
  CHECK(cluster.x(0) == Values{0.125f});
}

TEST_CASE("ADAG moves by one step of a constant gradient at any window",
          "[trainers]") {
  const int window = GENERATE(1, 2, 3, 5, 12);
  CAPTURE(window);
  ScriptedCluster cluster({.trainer = "adag",
                           .set = {{"window", std::to_string(window)}},
                           .lr = 0.5f,
                           .start = {100},
                           .gradient = Constant({6})});
  for (int exchange = 1; exchange <= 3; ++exchange) {
    cluster.RoundRobin(window);
    CHECK(cluster.Center() == Values{100 - 3 * static_cast<float>(exchange)});
  }
}

TEST_CASE("ADAG divides a tail by the steps that are in it", "[trainers]") {
  ScriptedCluster cluster({.trainer = "adag",
                           .set = {{"window", "4"}},
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-2})});
  cluster.RoundRobin(6);
  CHECK(cluster.Center() == Values{2});  // 8 / 4
  CHECK(cluster.x(0) == Values{6});
  cluster.EndAll();
  CHECK(cluster.Center() == Values{4});  // + 4 / 2
  CHECK(cluster.counters(0).pushes == 2);
}

TEST_CASE("ADAG's update times the window is Downpour's", "[trainers]") {
  const std::string window = GENERATE("1", "2", "4");
  ToyJob job{.trainer = "adag",
             .set = {{"window", window}},
             .start = {64, -32},
             .gradient = Bowl};
  const auto steps = std::stoi(window);
  const Values adag = TrainAlone(job, steps);
  job.trainer = "downpour";
  job.set["form"] = "delta";
  const Values downpour = TrainAlone(job, steps);
  for (size_t i = 0; i < 2; ++i) {
    CHECK((adag[i] - job.start[i]) * static_cast<float>(steps) ==
          downpour[i] - job.start[i]);
  }
  CHECK(downpour != job.start);
}

TEST_CASE("ADAG with window 1 is delta Downpour, bit for bit", "[trainers]") {
  const std::string name = GENERATE(from_range(OptimizerNames()));
  CAPTURE(name);
  ToyJob job{.trainer = "adag",
             .set = {{"window", "1"}},
             .workers = 3,
             .optimizer = name,
             .lr = 0.01f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Booth};
  ScriptedCluster adag(job);
  job.trainer = "downpour";
  job.set["form"] = "delta";
  ScriptedCluster downpour(job);
  for (int i = 0; i < 40; ++i) {
    adag.Run({i % 3, (i * i) % 3});
    downpour.Run({i % 3, (i * i) % 3});
  }
  CHECK(SameBits(adag.Center(), downpour.Center()));
  CHECK(adag.Center() != job.start);
}

TEST_CASE("One worker's ADAG with window 1 is single", "[trainers]") {
  ToyJob job{.trainer = "adag",
             .set = {{"window", "1"}},
             .start = {1024, -96},
             .gradient = Bowl};
  const Values adag = TrainAlone(job, 11);
  job.trainer = "single";
  job.set = {};
  CHECK(adag == TrainAlone(job, 11));
  CHECK(adag[0] == 0.5f);
}

TEST_CASE("ADAG's window is 12 steps", "[trainers]") {
  CHECK(MakeTrainer("adag", {}, {})->resolved ==
        std::map<std::string, std::string>{{"window", "12"}});
}

}  // namespace
}  // namespace monsoon
