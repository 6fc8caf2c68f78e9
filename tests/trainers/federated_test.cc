// SPDX-License-Identifier: Apache-2.0
// FedAvg, FedProx, FedAdam.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

ToyJob Exact(const std::string& trainer, const Set& set, int workers) {
  return {.trainer = trainer,
          .set = set,
          .workers = workers,
          .start = {1024, -96},
          .gradient = Bowl};
}

// Whose sums depend on their order.
ToyJob Uneven(const std::string& trainer, const Set& set, int workers) {
  return {.trainer = trainer,
          .set = set,
          .workers = workers,
          .optimizer = "nesterov",
          .lr = 0.01f,
          .start = {90, 90, -3.7f, 11.1f},
          .gradient = [](int worker, int64_t step, const Flat& x, Flat& g) {
            Booth(worker, step, x, g);
            g[worker % 4] *= 1.7f;
          }};
}

TEST_CASE("FedAvg takes the mean by samples once an epoch", "[trainers]") {
  ToyJob job{.trainer = "fedavg",
             .workers = 2,
             .lr = 1,
             .start = {0},
             .gradient = Constant({-4, 8})};
  job.rules.epoch_samples = 3;
  ScriptedCluster cluster(job);
  cluster.Run({0, 0, 0});  // x0 = 12
  CHECK(cluster.IsWaiting(0));
  cluster.Run({1, 1});
  CHECK(cluster.Center() == Values{0});
  cluster.Run({1});  // x1 = -24
  CHECK(cluster.Center() == Values{-6});
  CHECK(cluster.x(0) == Values{-6});
  CHECK(cluster.x(1) == Values{-6});
  cluster.Run({0, 1, 1, 1});  // x1 = -30
  cluster.End(0);             // x0 = -2: (1 * -2 + 3 * -30) / 4
  CHECK(cluster.Center() == Values{-23});
}

TEST_CASE("FedAvg's local epochs make its window", "[trainers]") {
  const auto [epochs, window] =
      GENERATE(std::pair<const char*, const char*>{"1", "4"},
               std::pair<const char*, const char*>{"2", "8"},
               std::pair<const char*, const char*>{"0.5", "2"});
  ToyJob job = Uneven("fedavg", {{"local_epochs", epochs}}, 3);
  job.rules.epoch_samples = 4;
  ScriptedCluster fedavg(job);
  job.trainer = "local_sgd";
  job.set = {{"window", window}};
  ScriptedCluster local(job);
  fedavg.RoundRobin(22);
  local.RoundRobin(22);
  fedavg.EndAll();
  local.EndAll();
  CHECK(SameBits(fedavg.Center(), local.Center()));
  CHECK(fedavg.Center() != job.start);
}

TEST_CASE("FedAvg of one step is gradient descent on the mean", "[trainers]") {
  ToyJob job = Exact("fedavg", {}, 4);
  ScriptedCluster fedavg(job);
  job.trainer = "sync";
  ScriptedCluster sync(job);
  fedavg.RoundRobin(8);
  sync.RoundRobin(8);
  CHECK(fedavg.Center() == sync.Center());
}

TEST_CASE("One client's FedAvg is single, and so are equal ones",
          "[trainers]") {
  const int workers = GENERATE(1, 2, 4);
  ToyJob job = Exact("fedavg", {}, workers);
  job.rules.epoch_samples = 3;
  ScriptedCluster cluster(job);
  cluster.RoundRobin(11);
  cluster.EndAll();
  job.trainer = "single";
  CHECK(cluster.Center() == TrainAlone(job, 11));
}

TEST_CASE("FedAvg has the same bits in whatever order the clients come",
          "[trainers]") {
  const std::string trainer = GENERATE("fedavg", "fedprox", "fedadam");
  const ToyJob job = Uneven(trainer, {}, 4);
  ScriptedCluster one(job), other(job), threads(job);
  for (int round = 0; round < 10; ++round) {
    one.Run({0, 1, 2, 3});
    other.Run({2, 3, 1, 0});
  }
  CHECK(SameBits(one.Center(), other.Center()));
  REQUIRE(threads.RunThreads(10).ok());
  CHECK(SameBits(one.Center(), threads.Center()));
}

TEST_CASE("FedProx pulls back to the round's center", "[trainers]") {
  ToyJob job{.trainer = "fedprox",
             .set = {{"mu", "0.5"}},
             .workers = 2,
             .lr = 0.5f,
             .start = {16},
             .gradient = Bowl};
  job.rules.epoch_samples = 2;
  ScriptedCluster cluster(job);
  cluster.Run({0});  // g = 16, and x is the center
  CHECK(cluster.x(0) == Values{8});
  cluster.Run({0, 1, 1});  // g = 8 + 0.5 * (8 - 16): x = 8 - 2, both
  CHECK(cluster.Center() == Values{6});
  cluster.Run({1, 1, 0});  // x0 = 3
  CHECK(cluster.x(0) == Values{3});
  cluster.End(0);  // x1 = 3 - 0.5 * (3 + 0.5 * (3 - 6)) = 2.25
  CHECK(cluster.Center() == Values{2.5f});  // (1 * 3 + 2 * 2.25) / 3
}

TEST_CASE("FedProx without mu is FedAvg, bit for bit, and with much stands",
          "[trainers]") {
  ToyJob job = Uneven("fedprox", {{"mu", "0"}}, 3);
  job.rules.epoch_samples = 5;
  ScriptedCluster fedprox(job);
  job.trainer = "fedavg";
  job.set = {};
  ScriptedCluster fedavg(job);
  fedprox.RoundRobin(22);
  fedavg.RoundRobin(22);
  fedprox.EndAll();
  fedavg.EndAll();
  CHECK(SameBits(fedprox.Center(), fedavg.Center()));

  // x - c' settles where mu times it is the gradient.
  ToyJob held{.trainer = "fedprox",
              .set = {{"mu", "1000"}},
              .optimizer = "sgd",
              .lr = 1e-3f,
              .start = {0},
              .gradient = Constant({-8})};
  held.rules.epoch_samples = 50;
  ScriptedCluster cluster(held);
  cluster.RoundRobin(49);
  CHECK(cluster.x(0)[0] == Approx(8e-3));
}

// A server half that gets these means of a round, one after the other.
Values Centers(const Set& set, const Values& means) {
  const MadeTrainer made = *MakeTrainer("fedadam", set, {});
  Shard shard(1);
  Flat value(1);
  Values centers;
  for (float mean : means) {
    value[0] = mean;
    made.trainer->Apply({.value = value}, shard);
    centers.push_back(shard.center[0]);
  }
  return centers;
}

TEST_CASE("FedAdam's squares fade, from tau^2 on", "[trainers]") {
  // v = 1/2 + 49/2 = 25, m = 7/2: 12 * 3.5/6.
  // v = 25/2 + 25/2, m = 7/4 - 5/2: 12 * -0.75/6.
  // v = 25/2, m = -3/8: 12 * -0.375 / (3.5355339 + 1).
  const Values centers = Centers({{"rule", "adam"},
                                  {"beta1", "0.5"},
                                  {"beta2", "0.5"},
                                  {"tau", "1"},
                                  {"server_lr", "12"}},
                                 {7, -5, 0});
  CHECK(centers[0] == 7);
  CHECK(centers[1] == 5.5f);
  CHECK(centers[2] == Approx(5.5 - 4.5 / 4.5355339));
}

TEST_CASE("FedAdagrad's squares add up", "[trainers]") {
  // v = 9 + 16, m = 4/2: 2/(5 + 3). v = 25 + 144, m = 1 + 6: 7/(13 + 3).
  CHECK(Centers({{"rule", "adagrad"},
                 {"beta1", "0.5"},
                 {"tau", "3"},
                 {"server_lr", "1"}},
                {4, 12}) == Values{0.25f, 0.6875f});
}

TEST_CASE("FedYogi's squares go towards the last by a part of it",
          "[trainers]") {
  const Set set = {{"rule", "yogi"},
                   {"beta1", "0.5"},
                   {"beta2", "0.75"},
                   {"tau", "25"},
                   {"server_lr", "7"}};
  // v = 625 - 196/4 = 24^2, m = 7: 7 * 7/49.
  // v = 576 + 1296/4 = 30^2, m = 7/2 + 18: 7 * 21.5/55.
  const Values centers = Centers(set, {14, 36});
  CHECK(centers[0] == 1);
  CHECK(centers[1] == Approx(1 + 7 * 21.5 / 55));
  // Equal to it, it stays: v = 25^2, m = 12.5: 7 * 12.5/50.
  CHECK(Centers(set, {25})[0] == 1.75f);
}

TEST_CASE("FedAdam follows its cohort's mean", "[trainers]") {
  ToyJob job{
      .trainer = "fedadam",
      .set = {{"beta1", "0"}, {"beta2", "0"}, {"tau", "1"}, {"server_lr", "8"}},
      .workers = 2,
      .lr = 1,
      .start = {0},
      .gradient = Constant({-2, -4})};
  ScriptedCluster cluster(job);
  cluster.RoundRobin(1);  // D = 3: 8 * 3/(3 + 1)
  CHECK(cluster.Center() == Values{6});
  CHECK(cluster.x(0) == Values{6});
}

TEST_CASE("FedAdam that nothing moves stays where it is", "[trainers]") {
  const std::string rule = GENERATE("adagrad", "adam", "yogi");
  CHECK(Centers({{"rule", rule}}, {0, 0, 0}) == Values{0, 0, 0});
}

TEST_CASE("The federated trainers' keys, defaults and refusals", "[trainers]") {
  JobFacts facts;
  facts.seed = 7;
  Set shared{{"fraction", "1"}, {"local_epochs", "1"}, {"cohort_seed", "7"}};
  CHECK(MakeTrainer("fedavg", {}, facts)->resolved == shared);
  Set fedprox = shared;
  fedprox["mu"] = "0.01";
  CHECK(MakeTrainer("fedprox", {}, facts)->resolved == fedprox);
  Set fedadam = shared;
  fedadam["local_epochs"] = "0.2";
  fedadam.insert({{"rule", "adam"},
                  {"beta1", "0.9"},
                  {"beta2", "0.99"},
                  {"tau", "0.001"},
                  {"server_lr", "0.02"}});
  CHECK(MakeTrainer("fedadam", {}, facts)->resolved == fedadam);
  for (const char* name : {"fedavg", "fedprox", "fedadam"}) {
    CHECK_THAT(Refusal(name, {{"fraction", "0"}}),
               Catch::Contains("above 0, at most 1"));
    CHECK_THAT(Refusal(name, {{"fraction", "1.5"}}),
               Catch::Contains("above 0, at most 1"));
    CHECK_THAT(Refusal(name, {{"local_epochs", "0"}}),
               Catch::Contains("above 0"));
  }
  CHECK_THAT(Refusal("fedprox", {{"mu", "-1"}}), Catch::Contains("at least 0"));
  CHECK_THAT(Refusal("fedadam", {{"rule", "adamax"}}),
             Catch::Contains("did you mean \"adam\""));
  CHECK_THAT(Refusal("fedadam", {{"tau", "0"}}), Catch::Contains("above 0"));
  CHECK_THAT(Refusal("fedadam", {{"beta2", "1"}}),
             Catch::Contains("at least 0, below 1"));
}

}  // namespace
}  // namespace monsoon
