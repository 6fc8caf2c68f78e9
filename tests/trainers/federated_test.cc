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

// Whom the servers wait for in a round, of all.
std::vector<int> Cohort(const Trainer& trainer, int64_t round, int workers) {
  std::vector<int> cohort;
  for (int w = 0; w < workers; ++w) {
    if (trainer.Quorum(round, {w}) == 1) cohort.push_back(w);
  }
  return cohort;
}

TEST_CASE("A cohort is the same on both halves, and moves by its own mean",
          "[trainers]") {
  const std::string fraction = GENERATE("0.25", "0.5", "1");
  const std::string seed = GENERATE("1", "2");
  const int shards = GENERATE(1, 3);
  CAPTURE(fraction, seed, shards);
  const Set set = {{"fraction", fraction}, {"cohort_seed", seed}};
  JobFacts facts;
  facts.workers = 4;
  const MadeTrainer made = *MakeTrainer("fedavg", set, facts);
  ScriptedCluster cluster({.trainer = "fedavg",
                           .set = set,
                           .workers = 4,
                           .shards = shards,
                           .lr = 1,
                           .start = {0, 0, 0},
                           .gradient = Constant({-4, 8, -16, 32})});
  float center = 0;
  for (int64_t round = 0; round < 20; ++round) {
    CAPTURE(round);
    const std::vector<int> cohort = Cohort(*made.trainer, round, 4);
    REQUIRE(cohort.size() == static_cast<size_t>(4 * std::stod(fraction)));
    REQUIRE(made.trainer->Quorum(round, {0, 1, 2, 3}) ==
            static_cast<int>(cohort.size()));
    for (int w = 0; w < 4; ++w) {
      const bool takes_part = std::count(cohort.begin(), cohort.end(), w) > 0;
      REQUIRE(cluster.IsWaiting(w) != takes_part);
      if (takes_part) CHECK(cluster.x(w) == Values(3, center));
    }
    float sum = 0;
    for (int w : cohort) sum += Values{4, -8, 16, -32}[static_cast<size_t>(w)];
    center += sum / static_cast<float>(cohort.size());
    cluster.Run(cohort);
    REQUIRE(cluster.Center() == Values(3, center));
  }
}

TEST_CASE("Every client takes its turn, about as often as the others",
          "[trainers]") {
  const int workers = GENERATE(2, 7, 20);
  JobFacts facts;
  facts.workers = workers;
  const MadeTrainer made = *MakeTrainer("fedavg", {{"fraction", "0.3"}}, facts);
  const int size = std::max(1, workers * 3 / 10);
  std::vector<int> turns(static_cast<size_t>(workers));
  constexpr int kRounds = 2000;
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<int> cohort = Cohort(*made.trainer, round, workers);
    CHECK(static_cast<int>(cohort.size()) == size);
    for (int w : cohort) ++turns[static_cast<size_t>(w)];
  }
  const double fair = double{kRounds} * size / workers;
  // Six times the deviation of as many coins.
  for (int count : turns) CHECK(std::abs(count - fair) < 6 * std::sqrt(fair));
}

TEST_CASE("A round whose cohort has ended passes", "[trainers]") {
  JobFacts facts;
  facts.workers = 4;
  const Set set = {{"fraction", "0.25"}};
  const MadeTrainer made = *MakeTrainer("fedavg", set, facts);
  ScriptedCluster cluster({.trainer = "fedavg",
                           .set = set,
                           .workers = 4,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-1, -1, -1, -1})});
  // Whoever's turn it is leaves, until one is left.
  std::vector<int> live = {0, 1, 2, 3};
  while (live.size() > 1) {
    const auto turn = std::find_if(
        live.begin(), live.end(), [&](int w) { return !cluster.IsWaiting(w); });
    REQUIRE(turn != live.end());
    cluster.End(*turn);
    live.erase(turn);
  }
  CHECK(cluster.Center() == Values{0});
  for (int step = 1; step <= 10; ++step) {
    REQUIRE_FALSE(cluster.IsWaiting(live[0]));
    cluster.Run(live);
    CHECK(cluster.Center() == Values{static_cast<float>(step)});
  }
  cluster.EndAll();
}

TEST_CASE("Cohorts on threads come to an end with all of their updates",
          "[trainers]") {
  const std::string fraction = GENERATE("0.2", "0.5");
  ScriptedCluster cluster({.trainer = "fedavg",
                           .set = {{"fraction", fraction}},
                           .workers = 5,
                           .lr = 1,
                           .start = {0, 0},
                           .gradient = Constant({-1, -1, -1, -1, -1})});
  // Without leaving: all have as many steps to do as the luckiest.
  REQUIRE(cluster.RunThreads(0).ok());
  JobFacts facts;
  facts.workers = 5;
  const MadeTrainer made =
      *MakeTrainer("fedavg", {{"fraction", fraction}}, facts);
  for (int64_t round = 0; round < 50; ++round) {
    cluster.Run(Cohort(*made.trainer, round, 5));
  }
  CHECK(cluster.Center() == Values{50, 50});
}

TEST_CASE("Another seed draws other cohorts", "[trainers]") {
  JobFacts facts;
  facts.workers = 10;
  facts.seed = 5;
  const auto cohorts = [&facts](const Set& set) {
    const MadeTrainer made = *MakeTrainer("fedavg", set, facts);
    std::vector<std::vector<int>> all;
    for (int64_t round = 0; round < 20; ++round) {
      all.push_back(Cohort(*made.trainer, round, 10));
    }
    return all;
  };
  const auto own = cohorts({{"fraction", "0.3"}});
  CHECK(own == cohorts({{"fraction", "0.3"}, {"cohort_seed", "5"}}));
  CHECK(own != cohorts({{"fraction", "0.3"}, {"cohort_seed", "6"}}));
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
