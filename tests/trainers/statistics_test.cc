// SPDX-License-Identifier: Apache-2.0
// Statistics: the model moves them, no optimizer does, and the center's follow
// the mean of what the workers see.
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

// One parameter, whose gradient is itself, and one statistic that halves in
// every training pass.
ToyJob Job(const std::string& trainer, const Set& set, int workers = 1) {
  return {.trainer = trainer,
          .set = set,
          .workers = workers,
          .lr = 0.5f,
          .start = {8, 128},
          .gradient = Bowl,
          .statistics = 1,
          .motion = [](int, int64_t, Flat& s) { s[0] /= 2; }};
}

TEST_CASE("Statistics of single are what the model made of them",
          "[trainers]") {
  CHECK(TrainAlone(Job("single", {}), 2) == Values{2, 32});
}

TEST_CASE("Downpour applies its rule to gradients and adds statistics",
          "[trainers]") {
  ScriptedCluster cluster(Job("downpour", {{"form", "gradient"}}, 2));
  cluster.Run({0});  // g = 8; s 128 -> 64, half of -64
  CHECK(cluster.Center() == Values{4, 96});
  CHECK(cluster.x(0) == Values{4, 96});
  cluster.Run({1});  // g = 8; s 128 -> 64
  CHECK(cluster.Center() == Values{0, 64});
  cluster.Run({0});  // g = 4; s 96 -> 48, half of -48
  CHECK(cluster.Center() == Values{-2, 40});
  CHECK(cluster.x(0) == Values{-2, 40});
}

TEST_CASE("Downpour's windows carry the way of their statistics",
          "[trainers]") {
  const std::string window = GENERATE("2", "3");
  CAPTURE(window);
  ToyJob job = Job("downpour", {{"form", "gradient"}, {"window", window}});
  const int steps = std::stoi(window);
  job.rules.weight_decay = GENERATE(0.0f, 1e-30f);  // on either path
  ScriptedCluster cluster(job);
  cluster.RoundRobin(steps);
  CHECK(cluster.Center()[1] == 128.0f / static_cast<float>(1 << steps));
  cluster.RoundRobin(steps);
  CHECK(cluster.Center()[1] == 128.0f / static_cast<float>(1 << 2 * steps));
  CHECK(cluster.x(0) == cluster.Center());
}

TEST_CASE("No server rule sees statistics", "[trainers]") {
  const std::string rule = GENERATE(from_range(ServerOptimizerNames()));
  CAPTURE(rule);
  ScriptedCluster cluster(
      Job("downpour", {{"form", "gradient"}, {"server_optimizer", rule}}, 2));
  cluster.Run({0, 1, 0});
  CHECK(cluster.Center()[1] == 40);
  CHECK(cluster.Center()[0] < 8);
}

TEST_CASE("No local rule sees statistics", "[trainers]") {
  const std::string optimizer = GENERATE(from_range(ServerOptimizerNames()));
  CAPTURE(optimizer);
  ToyJob job = Job("single", {});
  job.optimizer = optimizer;
  job.rules.weight_decay = 0.5f;
  job.rules.clip_norm = 0.125f;
  const Values x = TrainAlone(job, 3);
  CHECK(x[1] == 16);
  CHECK(x[0] < 8);
}

TEST_CASE("Deltas of statistics are shared by the workers, not by the window",
          "[trainers]") {
  ScriptedCluster adag(Job("adag", {{"window", "2"}}, 2));
  adag.Run({0, 0});  // x: 8, 4, 2: -6 / 2; s 128 -> 32, half of -96
  CHECK(adag.Center() == Values{5, 80});
  adag.Run({1, 1});
  CHECK(adag.Center() == Values{2, 32});
  CHECK(adag.x(1) == Values{2, 32});

  ScriptedCluster downpour(
      Job("downpour", {{"form", "delta"}, {"window", "2"}}, 2));
  downpour.Run({0, 0, 1, 1});
  CHECK(downpour.Center() == Values{-4, 32});

  // One worker's center has the worker's own statistics.
  CHECK(TrainAlone(Job("adag", {{"window", "2"}}), 2) == Values{5, 32});
}

TEST_CASE("Elastic averaging averages statistics too", "[trainers]") {
  ScriptedCluster cluster(
      Job("aeasgd", {{"alpha", "0.5"}, {"window", "1"}}, 2));
  cluster.Run({0});  // x = (4, 64); e = ((4, 64) - (8, 128)) / 2
  CHECK(cluster.Center() == Values{6, 96});
  CHECK(cluster.x(0) == Values{6, 96});
}

TEST_CASE("Many workers' variances settle, and none turns negative",
          "[trainers]") {
  const std::string trainer = GENERATE("adag", "downpour");
  const std::string form = GENERATE("delta", "gradient");
  if (trainer == "adag" && form == "gradient") return;
  CAPTURE(trainer, form);
  constexpr int kWorkers = 16;
  Set set = {{"window", "12"}};
  if (trainer == "downpour") set["form"] = form;
  ToyJob job = Job(trainer, set, kWorkers);
  job.lr = 1e-4f;
  job.start = {8, 1};
  // As a running variance follows batches of variance 0.25.
  job.motion = [](int, int64_t, Flat& s) { s[0] += 0.1f * (0.25f - s[0]); };
  ScriptedCluster cluster(job);
  float least = 1;
  for (int i = 0; i < 12 * 20; ++i) {
    cluster.RoundRobin(1);
    least = std::min(least, cluster.Center()[1]);
  }
  CHECK(least > 0);
  CHECK(cluster.Center()[1] == Approx(0.25).epsilon(0.01));
}

TEST_CASE("A shard of statistics alone, and one with some, are served",
          "[trainers]") {
  // Cut into 1 + 2 + 2: the second has a parameter and a statistic.
  ToyJob job = Job("downpour",
                   {{"form", "gradient"}, {"server_optimizer", "momentum"}}, 2);
  job.start = {8, 8, 128, 128, 128};
  job.statistics = 3;
  job.motion = [](int, int64_t, Flat& s) {
    ForEach([](float& each) { each /= 2; }, s);
  };
  job.shards = 3;
  job.servers = 2;
  ScriptedCluster cluster(job);
  cluster.Run({0, 1, 0});
  const Values center = cluster.Center();
  CHECK(center[1] == center[0]);
  CHECK(Values(center.begin() + 2, center.end()) == Values{40, 40, 40});
}

TEST_CASE("Statistics follow the workers' mean whatever a round takes",
          "[trainers]") {
  const std::string softsync = GENERATE("1", "2");
  ToyJob job{.trainer = "staleness_lr",
             .set = {{"softsync", softsync}},
             .workers = 2,
             .start = {0, 128},
             .gradient = Constant({0, 0})};
  job.statistics = 1;
  job.motion = [](int, int64_t, Flat& statistics) { statistics[0] /= 2; };
  ScriptedCluster cluster(job);
  cluster.Run({0, 1});  // both have seen 64; neither is discounted at tau 1
  cluster.EndAll();
  CHECK(cluster.Center() == std::vector<float>{0, 64});
}

}  // namespace
}  // namespace monsoon
