// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;

TEST_CASE("Averaging takes one mean at the end, by samples", "[trainers]") {
  ScriptedCluster cluster({.trainer = "averaging",
                           .workers = 2,
                           .lr = 1,
                           .start = {2},
                           .gradient = Constant({-4, 8})});
  cluster.Run({0, 0, 1, 0});
  CHECK(cluster.Center() == Values{2});
  CHECK(cluster.x(0) == Values{14});
  CHECK(cluster.x(1) == Values{-6});
  CHECK(cluster.counters(0).pushes == 0);
  cluster.End(1);
  CHECK(cluster.Center() == Values{2});
  CHECK(cluster.IsWaiting(1));
  cluster.End(0);  // (3 * 14 + 1 * -6) / 4
  CHECK(cluster.Center() == Values{9});
  CHECK(cluster.x(0) == Values{9});
  CHECK(cluster.x(1) == Values{9});
  CHECK(cluster.counters(0).pushes == 1);
}

TEST_CASE("Averaged workers train alone, each by its own optimizer",
          "[trainers]") {
  ToyJob job{.trainer = "averaging",
             .workers = 3,
             .optimizer = "adam",
             .lr = 0.1f,
             .start = {90, 90},
             .gradient = [](int worker, int64_t step, const Flat& x, Flat& g) {
               Booth(worker, step, x, g);
               g[0] += static_cast<float>(5 * worker);
             }};
  ScriptedCluster cluster(job);
  cluster.RoundRobin(20);
  job.trainer = "single";
  const ToyGradient all = job.gradient;
  for (int w = 0; w < 3; ++w) {
    job.gradient = [all, w](int, int64_t step, const Flat& x, Flat& g) {
      all(w, step, x, g);
    };
    CHECK(SameBits(cluster.x(w), TrainAlone(job, 20)));
  }
}

TEST_CASE("The average of one worker is the worker, and of equals each",
          "[trainers]") {
  const int workers = GENERATE(1, 2, 4);
  ToyJob job{.trainer = "averaging",
             .workers = workers,
             .start = {1024, -96},
             .gradient = Bowl};
  ScriptedCluster cluster(job);
  cluster.RoundRobin(11);
  cluster.EndAll();
  job.trainer = "single";
  CHECK(cluster.Center() == TrainAlone(job, 11));
}

TEST_CASE("Who took no step is not in the average", "[trainers]") {
  ScriptedCluster cluster({.trainer = "averaging",
                           .workers = 3,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-4, -8, -100})});
  cluster.Run({0, 1});
  cluster.EndAll();
  CHECK(cluster.Center() == Values{6});
}

TEST_CASE("Averaging has no keys", "[trainers]") {
  CHECK(MakeTrainer("averaging", {}, {})->resolved.empty());
  CHECK_THAT(Refusal("averaging", {{"window", "3"}}),
             Catch::Contains("trainer averaging has no keys"));
}

}  // namespace
}  // namespace monsoon
