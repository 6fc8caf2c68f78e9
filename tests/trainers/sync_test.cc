// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

TEST_CASE("Sync steps along the mean gradient when all have pushed",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "sync",
                           .workers = 3,
                           .lr = 0.5f,
                           .start = {1},
                           .gradient = Constant({-3, -9, 6})});
  cluster.Run({2, 0});
  CHECK(cluster.Center() == Values{1});
  CHECK(cluster.IsWaiting(0));
  CHECK(cluster.IsWaiting(2));
  cluster.Run({1});  // mean -2
  CHECK(cluster.Center() == Values{2});
  for (int w = 0; w < 3; ++w) {
    CHECK_FALSE(cluster.IsWaiting(w));
    CHECK(cluster.x(w) == Values{2});
  }
  cluster.Run({1, 0});
  cluster.End(2);  // the round is that of the other two: mean -6
  CHECK(cluster.Center() == Values{5});
  cluster.EndAll();
  CHECK(cluster.Center() == Values{5});
}

// Whose mean over the workers is exactly `whole`, whatever its values.
ToyGradient Parts(int workers, const ToyGradient& whole) {
  const Values parts = workers == 2 ? Values{0, 2} : Values{1, -1, 2, 2};
  return [parts, whole](int worker, int64_t step, const Flat& x, Flat& g) {
    whole(0, step, x, g);
    const float part = parts[static_cast<size_t>(worker)];
    ForEach([part](float& gi) { gi *= part; }, g);
  };
}

TEST_CASE("Workers in sync are one worker with the mean gradient, bit for bit",
          "[trainers]") {
  const std::string name = GENERATE(from_range(ServerOptimizerNames()));
  const int workers = GENERATE(1, 2, 4);
  CAPTURE(name, workers);
  ToyJob job{.trainer = "sync",
             .workers = workers,
             .optimizer = name,
             .lr = 0.05f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = workers == 1 ? Booth : Parts(workers, Booth)};
  ScriptedCluster cluster(job);
  for (int round = 0; round < 30; ++round) {
    cluster.RoundRobin(1);
    for (int w = 0; w < workers; ++w) {
      REQUIRE(SameBits(cluster.x(w), cluster.Center()));
    }
  }
  job.trainer = "single";
  job.gradient = Booth;
  CHECK(SameBits(cluster.Center(), TrainAlone(job, 30)));
  CHECK(cluster.Center() != job.start);
}

// Sums of these depend on their order.
void Uneven(int worker, int64_t step, const Flat& x, Flat& gradient) {
  Booth(worker, step, x, gradient);
  for (int64_t i = 0; i < gradient.size(); ++i) {
    gradient[i] += 0.1f * static_cast<float>((worker * 7 + step * 3 + i) % 11);
    gradient[i] *= worker == 1 ? 1e-3f : 1.7f;
  }
}

TEST_CASE("Sync has the same bits in whatever order the workers come",
          "[trainers]") {
  ToyJob job{.trainer = "sync",
             .workers = 5,
             .optimizer = "nesterov",
             .lr = 0.01f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Uneven};
  ScriptedCluster forth(job), back(job), mixed(job);
  for (int round = 0; round < 20; ++round) {
    forth.Run({0, 1, 2, 3, 4});
    back.Run({4, 3, 2, 1, 0});
    mixed.Run({2, 4, 0, 3, 1});
  }
  CHECK(SameBits(forth.Center(), back.Center()));
  CHECK(SameBits(forth.Center(), mixed.Center()));
  // On threads too.
  ScriptedCluster threads(job);
  REQUIRE(threads.RunThreads(20).ok());
  CHECK(SameBits(forth.Center(), threads.Center()));
}

TEST_CASE("Other ranks for the same gradients change sync by rounding alone",
          "[trainers]") {
  ToyJob job{.trainer = "sync",
             .workers = 3,
             .lr = 0.01f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Uneven};
  ScriptedCluster one(job);
  job.gradient = [](int worker, int64_t step, const Flat& x, Flat& gradient) {
    Uneven((worker + 2) % 3, step, x, gradient);
  };
  ScriptedCluster other(job);
  one.RoundRobin(20);
  other.RoundRobin(20);
  for (size_t i = 0; i < 4; ++i) {
    CHECK(one.Center()[i] == Approx(other.Center()[i]).margin(1e-4));
  }
}

TEST_CASE("Sync refuses who comes too late, and it goes on", "[trainers]") {
  ScriptedCluster cluster({.trainer = "sync",
                           .set = {{"backups", "1"}},
                           .workers = 3,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-4, -8, -100})});
  cluster.Run({0});
  CHECK(cluster.IsWaiting(0));
  cluster.Run({1});  // two of three: mean -6
  CHECK(cluster.Center() == Values{6});
  CHECK_FALSE(cluster.IsWaiting(0));
  cluster.Run({2});  // of the round before
  CHECK(cluster.Center() == Values{6});
  CHECK_FALSE(cluster.IsWaiting(2));
  CHECK(cluster.x(2) == Values{6});
  CHECK(cluster.counters(2).samples_refused == 1);
  cluster.Run({2, 0});  // in time: mean -52
  CHECK(cluster.Center() == Values{58});
  cluster.Run({1});
  CHECK(cluster.x(1) == Values{58});
  CHECK(cluster.counters(1).samples_refused == 1);
  CHECK(cluster.JobStatusOf(0).samples_applied() == 4);
  CHECK(cluster.JobStatusOf(0).samples_refused() == 2);
}

TEST_CASE("Sync waits for one worker where all others are backups",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "sync",
                           .set = {{"backups", "2"}},
                           .workers = 3,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-4, -8, -100})});
  cluster.Run({0, 0, 1, 1});  // 4, 4, refused, 8
  CHECK(cluster.Center() == Values{16});
  cluster.End(0);
  cluster.End(1);
  cluster.Run({2, 2});  // refused, 100
  CHECK(cluster.Center() == Values{116});
}

TEST_CASE("Sync's linear scaling multiplies the rate by the workers",
          "[trainers]") {
  ToyJob job{.trainer = "sync",
             .set = {{"linear_scaling", "true"}},
             .workers = 4,
             .lr = 0.5f,
             .start = {0},
             .gradient = Constant({-1, -3, -5, -7})};
  ScriptedCluster scaled(job);
  scaled.RoundRobin(1);
  CHECK(scaled.Center() == Values{8});  // 0.5 * 4 * 4
  job.set["server_lr"] = "0.25";        // said is said
  ScriptedCluster said(job);
  said.RoundRobin(1);
  CHECK(said.Center() == Values{1});
}

TEST_CASE("Sync's keys, defaults and refusals", "[trainers]") {
  JobFacts facts;
  facts.workers = 3;
  facts.lr = 0.25f;
  facts.optimizer = "nesterov";
  CHECK(MakeTrainer("sync", {}, facts)->resolved ==
        Set{{"backups", "0"},
            {"linear_scaling", "false"},
            {"server_optimizer", "nesterov"},
            {"server_lr", "0.25"}});
  CHECK(MakeTrainer("sync", {{"linear_scaling", "true"}}, facts)
            ->resolved.at("server_lr") == "0.75");
  CHECK_THAT(Refusal("sync", {{"backups", "3"}}, facts),
             Catch::Contains("backups=3: expected less than --workers, 3"));
  CHECK_THAT(Refusal("sync", {{"server_lr", "0"}}, facts),
             Catch::Contains("above 0"));
  facts.optimizer = "lars";
  CHECK_THAT(Refusal("sync", {}, facts),
             Catch::Contains("the default of server_optimizer would be lars"));
}

}  // namespace
}  // namespace monsoon
