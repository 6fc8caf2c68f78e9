// SPDX-License-Identifier: Apache-2.0
// DiLoCo, in rounds and asynchronous.
#include <catch2/catch.hpp>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

// Gradients of each worker's own in the first window, none after it.
ToyGradient Kick(Values by_worker, int64_t window) {
  return [by_worker, window](int worker, int64_t step, const Flat&, Flat& g) {
    const float value =
        step < window ? by_worker[static_cast<size_t>(worker)] : 0.0f;
    ForEach([value](float& gi) { gi = value; }, g);
  };
}

TEST_CASE("DiLoCo's outer momentum steps by 0.7*1.9 and then fades",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "diloco",
                           .set = {{"window", "2"}},
                           .workers = 2,
                           .lr = 1,
                           .start = {100},
                           .gradient = Kick({-3, -7}, 2)});
  cluster.RoundRobin(2);  // D = (6 + 14) / 2, v = D
  CHECK(cluster.Center()[0] == Approx(100 + 0.7 * 1.9 * 10));
  CHECK(cluster.x(1) == cluster.Center());
  cluster.RoundRobin(2);  // D = 0, v = 9
  CHECK(cluster.Center()[0] == Approx(113.3 + 0.7 * 0.9 * 9));
  cluster.RoundRobin(2);  // v = 8.1
  CHECK(cluster.Center()[0] == Approx(118.97 + 0.7 * 0.9 * 8.1));
}

TEST_CASE("DiLoCo that nothing moves stays where it is", "[trainers]") {
  ToyJob job{.trainer = "diloco",
             .set = {{"window", "1"}},
             .workers = 2,
             .start = {0.1f, -7.3f},
             .gradient = Constant({0, 0})};
  ScriptedCluster cluster(job);
  cluster.RoundRobin(5);
  CHECK(SameBits(cluster.Center(), job.start));
}

TEST_CASE("DiLoCo's tail is a round of the steps that are left", "[trainers]") {
  ScriptedCluster cluster({.trainer = "diloco",
                           .set = {{"window", "4"},
                                   {"server_optimizer", "sgd"},
                                   {"server_lr", "0.5"}},
                           .workers = 2,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-4, 8})});
  cluster.Run({0, 0, 0, 1});
  cluster.EndAll();  // D = (3 * 12 + 1 * -8) / 4
  CHECK(cluster.Center() == Values{3.5f});
}

ToyJob Uneven(const std::string& trainer, const Set& set, int workers) {
  return {.trainer = trainer,
          .set = set,
          .workers = workers,
          .optimizer = "adamw",
          .lr = 0.1f,
          .start = {90, 90, -3.7f, 11.1f},
          .gradient = [](int worker, int64_t step, const Flat& x, Flat& g) {
            Booth(worker, step, x, g);
            g[worker] *= 1.7f;
          }};
}

Values AfterRounds(const ToyJob& job, int steps) {
  ScriptedCluster cluster(job);
  cluster.RoundRobin(steps);
  cluster.EndAll();
  CHECK(cluster.Center() != job.start);
  return cluster.Center();
}

TEST_CASE("DiLoCo with plain outer SGD is local SGD, bit for bit",
          "[trainers]") {
  const int workers = GENERATE(1, 2, 3);
  CHECK(SameBits(
      AfterRounds(Uneven("diloco",
                         {{"window", "3"},
                          {"server_optimizer", "sgd"},
                          {"server_lr", "1"}},
                         workers),
                  20),
      AfterRounds(Uneven("local_sgd", {{"window", "3"}}, workers), 20)));
}

TEST_CASE("One worker's DiLoCo with plain outer SGD is single", "[trainers]") {
  const std::string window = GENERATE("1", "4");
  ToyJob job{.trainer = "diloco",
             .set = {{"window", window},
                     {"server_optimizer", "sgd"},
                     {"server_lr", "1"}},
             .start = {1024, -96},
             .gradient = Bowl};
  const Values diloco = TrainAlone(job, 11);
  job.trainer = "single";
  job.set = {};
  CHECK(diloco == TrainAlone(job, 11));
}

TEST_CASE("DiLoCo of one plain step is the outer rule on the mean gradient",
          "[trainers]") {
  ToyJob job = Uneven("diloco", {{"window", "1"}, {"server_lr", "1"}}, 3);
  job.optimizer = "sgd";
  job.lr = 0.01f;
  const Values diloco = AfterRounds(job, 30);
  job.trainer = "sync";
  job.set = {{"server_optimizer", "nesterov"}};
  const Values sync = AfterRounds(job, 30);
  for (size_t i = 0; i < 4; ++i) {
    CHECK(diloco[i] == Approx(sync[i]).margin(1e-3));
  }
}

TEST_CASE("DiLoCo's keys, defaults and refusals", "[trainers]") {
  CHECK(MakeTrainer("diloco", {}, {})->resolved ==
        Set{{"window", "30"},
            {"server_optimizer", "nesterov"},
            {"server_lr", "0.7"}});
  CHECK_THAT(Refusal("diloco", {{"server_lr", "0"}}),
             Catch::Contains("above 0"));
  CHECK_THAT(Refusal("diloco", {{"server_optimizer", "lamb"}}),
             Catch::Contains("nesterov"));
}

// Every worker's updates are the numbers given, one after the other.
ToyJob Updates(const Set& set, const std::vector<Values>& updates) {
  ToyJob job{
      .trainer = "diloco_async",
      .set = set,
      .workers = static_cast<int>(updates.size()),
      .lr = 1,
      .start = {0},
      .gradient = [updates](int worker, int64_t step, const Flat&, Flat& g) {
        g[0] = -updates[static_cast<size_t>(worker)][static_cast<size_t>(step)];
      }};
  job.set["window"] = "1";
  job.set["momentum"] = "0.5";
  job.set["server_lr"] = "0.5";
  return job;
}

TEST_CASE("Delayed Nesterov moves by the momentum with every N-th push",
          "[trainers]") {
  ScriptedCluster cluster(Updates({{"buffer", "2"}}, {{4, -4, 16}, {8, 0, 0}}));
  cluster.Run({0});  // 0.5 * 4/2
  CHECK(cluster.Center() == Values{1});
  CHECK(cluster.x(0) == Values{1});
  // m = 12/2: 0.5 * (6/2 + 8/2): in all a Nesterov step on the mean, 6:
  // 0.5 * (6 + 6/2).
  cluster.Run({1});
  CHECK(cluster.Center() == Values{4.5f});
  cluster.Run({0});  // -4 / 2
  CHECK(cluster.Center() == Values{3.5f});
  cluster.Run({1});  // m = 6/2 - 4/2 = 1: 0.5 * 1/2
  CHECK(cluster.Center() == Values{3.75f});
  cluster.Run({0});  // the buffer is empty again: 0.5 * 16/2
  CHECK(cluster.Center() == Values{7.75f});
  cluster.Run({1});  // m = 1/2 + 16/2: 0.5 * 8.5/2
  CHECK(cluster.Center() == Values{9.875f});
}

TEST_CASE("Delayed Nesterov may spread the momentum over all pushes",
          "[trainers]") {
  ScriptedCluster cluster(
      Updates({{"buffer", "2"}, {"spread", "0.25"}}, {{4, -4}, {8, 0}}));
  cluster.Run({0});  // m = 0: a plain average
  CHECK(cluster.Center() == Values{1});
  cluster.Run({1});  // m = 6: 0.5 * ((1 - 0.5 + 0.25)*6/2 + 8/2)
  CHECK(cluster.Center() == Values{4.125f});
  cluster.Run({0});  // 0.5 * (0.25*6/2 - 4/2)
  CHECK(cluster.Center() == Values{3.5f});
  cluster.Run({1});  // m = 1: 0.5 * 0.75/2
  CHECK(cluster.Center() == Values{3.6875f});
}

TEST_CASE("Asynchronous DiLoCo goes on from the center that there is",
          "[trainers]") {
  ToyJob job{.trainer = "diloco_async",
             .set = {{"window", "2"},
                     {"buffer", "4"},
                     {"momentum", "0.5"},
                     {"server_lr", "1"}},
             .workers = 2,
             .lr = 0.5f,
             .start = {16},
             .gradient = Bowl};
  ScriptedCluster cluster(job);
  cluster.Run({0, 0});  // 16, 8, 4: -12 / 4
  CHECK(cluster.Center() == Values{13});
  cluster.Run({1, 1});  // -12 / 4, stale
  CHECK(cluster.Center() == Values{10});
  CHECK(cluster.x(0) == Values{13});
  CHECK(cluster.x(1) == Values{10});
  cluster.Run({1});
  cluster.End(1);  // the tail: -5 / 4
  CHECK(cluster.Center() == Values{8.75f});
  // 13, 6.5: the fourth push, m = (-12 - 12 - 5 - 6.5) / 4
  cluster.Run({0});
  cluster.End(0);
  CHECK(cluster.Center() == Values{8.75f - 6.5f / 4 - 35.5f / 8});
}

// Over one buffer, from any momentum: the same as one Nesterov step on the mean
// of its updates.
TEST_CASE("A buffer of delayed Nesterov is a Nesterov step on the mean",
          "[trainers]") {
  const int n = GENERATE(1, 2, 3, 7);
  CAPTURE(n);
  const MadeTrainer made =
      *MakeTrainer("diloco_async", {{"buffer", std::to_string(n)}}, {});
  Shard shard(1);
  Flat value(1);
  double c = 0, v = 0;
  for (int step = 1; step <= 4; ++step) {
    double mean = 0;
    for (int push = 0; push < n; ++push) {
      value[0] = static_cast<float>((push * 7 + step * 5) % 11 - 4);
      mean += double{value[0]} / n;
      made.trainer->Apply({.value = value, .worker = push}, shard);
    }
    v = 0.9 * v + mean;
    c += 0.7 * (mean + 0.9 * v);
    CHECK(shard.center[0] == Approx(c).margin(1e-5));
  }
}

TEST_CASE("A buffer of one is Nesterov, bit for bit", "[trainers]") {
  ToyJob job = Uneven("diloco_async", {{"window", "3"}, {"buffer", "1"}}, 1);
  const Values async = TrainAlone(job, 20);
  job.trainer = "diloco";
  job.set = {{"window", "3"}};
  CHECK(SameBits(async, TrainAlone(job, 20)));
}

TEST_CASE("Asynchronous DiLoCo without momentum divides by the buffer",
          "[trainers]") {
  ToyJob job = Uneven(
      "diloco_async",
      {{"window", "2"}, {"buffer", "1"}, {"momentum", "0"}, {"server_lr", "1"}},
      3);
  const Values async = AfterRounds(job, 20);
  job.trainer = "downpour";
  job.set = {{"window", "2"}, {"form", "delta"}};
  CHECK(SameBits(async, AfterRounds(job, 20)));
}

TEST_CASE("Asynchronous DiLoCo's keys, defaults and refusals", "[trainers]") {
  JobFacts facts;
  facts.workers = 3;
  CHECK(MakeTrainer("diloco_async", {}, facts)->resolved ==
        Set{{"window", "30"},
            {"buffer", "3"},
            {"momentum", "0.9"},
            {"spread", "0"},
            {"server_lr", "0.7"}});
  CHECK_THAT(Refusal("diloco_async", {{"spread", "0.5"}}, facts),
             Catch::Contains("spread=0.5") && Catch::Contains("at most 0.33"));
  CHECK_THAT(Refusal("diloco_async", {{"buffer", "0"}}, facts),
             Catch::Contains("1 or more"));
  CHECK_THAT(Refusal("diloco_async", {{"momentum", "1"}}, facts),
             Catch::Contains("at least 0, below 1"));
}

TEST_CASE("A spread of 1/N is the same to the servers, however it is written",
          "[trainers]") {
  for (int workers : {3, 6, 7, 11, 49}) {
    JobFacts facts;
    facts.workers = workers;
    char text[32];
    std::snprintf(text, sizeof(text), "%.12f", 1.0 / workers - 1e-12);
    const auto made = MakeTrainer("diloco_async", {{"spread", text}}, facts);
    REQUIRE(made.ok());
    // As other processes of the job read it.
    CHECK(MakeTrainer("diloco_async", made->resolved, facts).ok());
  }
}

}  // namespace
}  // namespace monsoon
