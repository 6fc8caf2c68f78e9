// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

TEST_CASE("Local SGD takes the mean of the replicas once a window",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "local_sgd",
                           .set = {{"window", "2"}},
                           .workers = 2,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-4, 12})});
  cluster.Run({0, 0});  // x0 = 8
  CHECK(cluster.Center() == Values{0});
  CHECK(cluster.IsWaiting(0));
  cluster.Run({1});
  CHECK(cluster.IsWaiting(0));
  cluster.Run({1});  // x1 = -24
  CHECK_FALSE(cluster.IsWaiting(0));
  CHECK(cluster.Center() == Values{-8});
  CHECK(cluster.x(0) == Values{-8});
  CHECK(cluster.x(1) == Values{-8});
  cluster.Run({1, 1, 0, 0});
  CHECK(cluster.Center() == Values{-16});
  cluster.EndAll();  // nothing is pending
  CHECK(cluster.Center() == Values{-16});
}

TEST_CASE("Local SGD weighs a replica by the samples of its round",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "local_sgd",
                           .set = {{"window", "4"}},
                           .workers = 2,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-4, 8})});
  cluster.Run({0, 0, 0, 1});
  cluster.End(0);  // its tail waits for the other's
  CHECK(cluster.IsWaiting(0));
  CHECK(cluster.Center() == Values{0});
  cluster.End(1);  // (3 * 12 + 1 * -8) / 4
  CHECK(cluster.Center() == Values{7});
  CHECK(cluster.x(0) == Values{7});
}

TEST_CASE("Who has ended is not waited for in local SGD", "[trainers]") {
  ScriptedCluster cluster({.trainer = "local_sgd",
                           .set = {{"window", "1"}},
                           .workers = 3,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-2, -4, -6})});
  cluster.Run({0, 1});
  CHECK(cluster.Center() == Values{0});
  cluster.End(2);
  CHECK(cluster.Center() == Values{3});
  cluster.Run({1, 0});
  CHECK(cluster.Center() == Values{6});
}

// Gradients whose means and differences are exact.
void Exact(int worker, int64_t step, const Flat& x, Flat& gradient) {
  gradient.CopyFrom(x);
  const auto own = static_cast<float>(8 * worker - 4 * (step % 3));
  ForEach([own](float& g) { g += own; }, gradient);
}

TEST_CASE("Local SGD of one step is synchronous SGD", "[trainers]") {
  ToyJob job{.trainer = "local_sgd",
             .set = {{"window", "1"}},
             .workers = 4,
             .start = {1024, -96},
             .gradient = Exact};
  ScriptedCluster local(job);
  job.trainer = "sync";
  job.set = {};
  ScriptedCluster sync(job);
  for (int round = 0; round < 8; ++round) {
    local.RoundRobin(1);
    sync.RoundRobin(1);
    CHECK(local.Center() == sync.Center());
  }
  CHECK(local.Center() != job.start);
}

// How far local SGD of one step is from synchronous SGD with the same rule.
double FromSync(const std::string& optimizer) {
  ToyJob job{.trainer = "local_sgd",
             .set = {{"window", "1"}},
             .workers = 3,
             .optimizer = optimizer,
             .lr = 0.01f,
             .start = {90, 90},
             .gradient = [](int worker, int64_t step, const Flat& x, Flat& g) {
               Booth(worker, step, x, g);
               const auto part = static_cast<float>(worker);
               ForEach([part](float& gi) { gi *= part; }, g);
             }};
  ScriptedCluster local(job);
  job.trainer = "sync";
  job.set = {};
  ScriptedCluster sync(job);
  local.RoundRobin(30);
  sync.RoundRobin(30);
  double distance = 0;
  for (size_t i = 0; i < 2; ++i) {
    distance += std::abs(double{local.Center()[i]} - double{sync.Center()[i]});
  }
  return distance;
}

// Each worker's own velocity has the servers' as its mean, as the rule is
// linear; the means that Adam divides by have not.
TEST_CASE(
    "Local rules that are linear are synchronous at one step, Adam is not",
    "[trainers]") {
  CHECK(FromSync("sgd") < 1e-3);
  CHECK(FromSync("momentum") < 1e-3);
  CHECK(FromSync("nesterov") < 1e-3);
  CHECK(FromSync("adam") > 1e-2);
}

TEST_CASE("Equal replicas have themselves as their mean", "[trainers]") {
  // On exact numbers: all is a power of two.
  ToyJob job{.trainer = "local_sgd",
             .set = {{"window", "3"}},
             .workers = 4,
             .start = {1024, -96},
             .gradient = Bowl};
  ScriptedCluster cluster(job);
  cluster.RoundRobin(9);
  job.trainer = "single";
  job.set = {};
  CHECK(cluster.Center() == TrainAlone(job, 9));
}

TEST_CASE("One worker's local SGD is single on exact numbers", "[trainers]") {
  const std::string window = GENERATE("1", "4", "16");
  ToyJob job{.trainer = "local_sgd",
             .set = {{"window", window}},
             .start = {1024, -96},
             .gradient = Bowl};
  const Values local = TrainAlone(job, 11);
  job.trainer = "single";
  job.set = {};
  CHECK(local == TrainAlone(job, 11));
}

TEST_CASE("Local SGD has the same bits in whatever order the workers come",
          "[trainers]") {
  ToyJob job{.trainer = "local_sgd",
             .set = {{"window", "2"}},
             .workers = 3,
             .optimizer = "adam",
             .lr = 0.1f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = [](int worker, int64_t step, const Flat& x, Flat& g) {
               Booth(worker, step, x, g);
               g[worker] *= 1.7f;
             }};
  ScriptedCluster one(job), other(job), threads(job);
  for (int round = 0; round < 10; ++round) {
    one.Run({0, 0, 1, 1, 2, 2});
    other.Run({2, 1, 0, 1, 2, 0});
  }
  CHECK(SameBits(one.Center(), other.Center()));
  REQUIRE(threads.RunThreads(20).ok());
  CHECK(SameBits(one.Center(), threads.Center()));
}

TEST_CASE("Local SGD's keys, defaults and refusals", "[trainers]") {
  CHECK(MakeTrainer("local_sgd", {}, {})->resolved == Set{{"window", "16"}});
  CHECK(MakeTrainer("local_sgd", {}, {})->trainer->traits().synchronous);
  CHECK_THAT(Refusal("local_sgd", {{"window", "0"}}),
             Catch::Contains("1 or more"));
}

}  // namespace
}  // namespace monsoon
