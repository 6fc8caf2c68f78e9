// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

TEST_CASE("staleness_lr divides by the staleness, of 1 by nothing",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "staleness_lr",
                           .workers = 4,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-12, -12, -12, -12})});
  cluster.Run({0});
  CHECK(cluster.Center() == Values{12});
  cluster.Run({1});  // where DynSGD takes a half
  CHECK(cluster.Center() == Values{24});
  cluster.Run({2});  // 12 / 2
  CHECK(cluster.Center() == Values{30});
  cluster.Run({3});  // 12 / 3
  CHECK(cluster.Center() == Values{34});
  cluster.Run({0});  // 12 / 3
  CHECK(cluster.Center() == Values{38});
  CHECK(cluster.x(0) == Values{38});
  CHECK(cluster.x(1) == Values{24});
  cluster.Run({0});
  CHECK(cluster.Center() == Values{50});
}

TEST_CASE("Softsync scales every gradient before it takes their mean",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "staleness_lr",
                           .set = {{"softsync", "2"}},
                           .workers = 2,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-4, -8})});
  cluster.Run({0});  // half a round; its worker goes on at once
  CHECK(cluster.Center() == Values{0});
  CHECK_FALSE(cluster.IsWaiting(0));
  cluster.Run({0});
  CHECK(cluster.Center() == Values{4});
  cluster.Run({0, 0});
  CHECK(cluster.Center() == Values{8});
  cluster.Run({0, 1});  // 4, and 8 / 2 from two rounds ago
  CHECK(cluster.Center() == Values{12});
  CHECK(cluster.x(1) == Values{12});
  CHECK(cluster.x(0) == Values{8});
  cluster.Run({0});  // the next round's first
  CHECK(cluster.Center() == Values{12});
  cluster.EndAll();  // with whom alone it closes
  CHECK(cluster.Center() == Values{16});
}

TEST_CASE("Where no gradient is stale, softsync is plain", "[trainers]") {
  // All from version 0: one round of the mean, as sync has it, bit for bit.
  ToyJob job{.trainer = "staleness_lr",
             .set = {{"softsync", "3"}},
             .workers = 3,
             .lr = 0.05f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = [](int worker, int64_t step, const Flat& x, Flat& g) {
               Booth(worker, step, x, g);
               g[worker] += 0.1f * static_cast<float>(worker + 1);
             }};
  ScriptedCluster softsync(job);
  job.trainer = "sync";
  job.set = {};
  ScriptedCluster sync(job);
  softsync.Run({2, 0, 1});
  sync.Run({0, 1, 2});
  CHECK(SameBits(softsync.Center(), sync.Center()));
  CHECK(softsync.Center() != job.start);
}

TEST_CASE("Staleness 1 with one gradient a round is asynchronous SGD",
          "[trainers]") {
  ToyJob job{.trainer = "staleness_lr",
             .workers = 2,
             .lr = 0.05f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Booth};
  ScriptedCluster aware(job);
  job.trainer = "downpour";
  ScriptedCluster downpour(job);
  aware.RoundRobin(30);
  downpour.RoundRobin(30);
  CHECK(SameBits(aware.Center(), downpour.Center()));
  aware.Run({0, 0, 0, 1});  // three behind
  downpour.Run({0, 0, 0, 1});
  CHECK_FALSE(SameBits(aware.Center(), downpour.Center()));
}

TEST_CASE("One worker's staleness_lr is single by every server rule",
          "[trainers]") {
  const std::string name = GENERATE(from_range(ServerOptimizerNames()));
  CAPTURE(name);
  ToyJob job{.trainer = "staleness_lr",
             .optimizer = name,
             .lr = 0.05f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Booth};
  const Values aware = TrainAlone(job, 30);
  job.trainer = "single";
  CHECK(SameBits(aware, TrainAlone(job, 30)));
}

TEST_CASE("staleness_lr's keys, defaults and refusals", "[trainers]") {
  JobFacts facts;
  facts.optimizer = "momentum";
  facts.lr = 0.25f;
  CHECK(MakeTrainer("staleness_lr", {}, facts)->resolved ==
        Set{{"softsync", "1"},
            {"server_optimizer", "momentum"},
            {"server_lr", "0.25"}});
  CHECK_THAT(Refusal("staleness_lr", {{"softsync", "0"}}),
             Catch::Contains("1 or more"));
  CHECK_THAT(Refusal("staleness_lr", {{"server_optimizer", "lars"}}),
             Catch::Contains("momentum"));
  facts.optimizer = "lamb";
  CHECK_THAT(Refusal("staleness_lr", {}, facts),
             Catch::Contains("the default of server_optimizer would be lamb"));
}

}  // namespace
}  // namespace monsoon
