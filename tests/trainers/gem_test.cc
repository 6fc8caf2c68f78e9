// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

TEST_CASE("GEM fills up the proxy's energy that others have left",
          "[trainers]") {
  const std::vector<Values> gradients = {{-4, -4, -2}, {-8, 8}};
  ScriptedCluster cluster(
      {.trainer = "gem",
       .set = {{"momentum", "0.5"}},
       .workers = 2,
       .lr = 1,
       .start = {0},
       .gradient = [&](int worker, int64_t step, const Flat&, Flat& g) {
         g[0] =
             gradients[static_cast<size_t>(worker)][static_cast<size_t>(step)];
       }});
  cluster.Run({0});  // D = m = 4, nobody moved: pi = 1
  CHECK(cluster.Center() == Values{4});
  cluster.Run({1});  // D = m = 8, moved 4: pi = (8 - 4) / 8
  CHECK(cluster.Center() == Values{8});
  CHECK(cluster.x(1) == Values{8});
  cluster.Run({0});  // D = 4, m = 2 + 4, moved 4: pi = (6 - 4) / 4
  CHECK(cluster.Center() == Values{10});
  cluster.Run({1});  // D = -8, m = 4 - 8, moved 2: pi = (4 - 2) / 8
  CHECK(cluster.Center() == Values{8});
  cluster.Run({0});  // D = 2, m = 3 + 2, moved -2: pi = (5 - 2) / 2 amplifies
  CHECK(cluster.Center() == Values{11});
  CHECK(cluster.x(0) == Values{11});
}

TEST_CASE("GEM's window is the way of its steps, and the tail's",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "gem",
                           .set = {{"momentum", "0.5"}, {"window", "2"}},
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-4})});
  cluster.Run({0, 0});
  CHECK(cluster.Center() == Values{8});
  cluster.Run({0});
  cluster.End(0);  // D = 4, m = 4 + 4: pi = 2
  CHECK(cluster.Center() == Values{16});
}

// What an update D commits, element by element, where the center has gone
// `moved` and the proxy is mu * m + D.
class Commit {
 public:
  explicit Commit(const Set& set) : made_(*MakeTrainer("gem", set, {})) {}

  Values operator()(const Values& d, const Values& moved, const Values& m) {
    const auto size = static_cast<int64_t>(d.size());
    Shard shard(size);
    Flat value(size);
    shard.seen(0);  // 0
    for (int64_t i = 0; i < size; ++i) {
      const auto at = static_cast<size_t>(i);
      value[i] = d[at];
      shard.center[i] = moved[at];
      shard.slot("proxy", 0)[i] = m[at];
    }
    made_.trainer->Apply({.value = value}, shard);
    Values committed;
    for (int64_t i = 0; i < size; ++i) {
      committed.push_back(shard.center[i] - moved[static_cast<size_t>(i)]);
    }
    return committed;
  }

 private:
  const MadeTrainer made_;
};

TEST_CASE("GEM's commit and the center's motion make up kappa times the proxy",
          "[trainers]") {
  const std::string kappa = GENERATE("0.5", "1", "2");
  CAPTURE(kappa);
  Commit commit({{"kappa", kappa}, {"momentum", "0.5"}});
  for (float d : {-3.0f, -1.0f, 2.0f, 8.0f}) {
    for (float moved : {-2.5f, 0.0f, 0.25f, 7.0f}) {
      for (float m : {-4.0f, 0.0f, 6.0f}) {
        const double energy =
            std::stod(kappa) * std::abs(0.5 * double{m} + double{d});
        const double left = energy - double{std::abs(moved)};
        const double expected =
            std::min(5 * double{std::abs(d)}, std::max(0.0, left));
        const Values committed = commit({d}, {moved}, {m});
        CHECK(std::abs(committed[0]) == Approx(expected).margin(1e-5));
        // Never against the update, and nothing where others did it all.
        CHECK(committed[0] * d >= 0);
        if (left <= 0) CHECK(committed[0] == 0);
      }
    }
  }
}

TEST_CASE("GEM commits nothing where the update is nothing", "[trainers]") {
  Commit commit(Set{});
  const Values committed = commit({0, 0, 0, 1}, {0, 5, -5, 0}, {0, 100, -3, 0});
  CHECK(committed == Values{0, 0, 0, 1});
}

TEST_CASE("GEM's factor is clamped on both sides", "[trainers]") {
  CHECK(Commit(Set{})({1}, {0}, {100}) == Values{5});
  CHECK(Commit(Set{{"clamp_max", "3"}})({1}, {0}, {100}) == Values{3});
  CHECK(Commit(Set{})({2}, {100}, {0}) == Values{0});
  CHECK(Commit(Set{{"clamp_min", "-0.5"}})({2}, {100}, {0}) == Values{-1});
}

TEST_CASE("A larger kappa never shrinks a factor", "[trainers]") {
  const Values d = {1, -2, 3, -4, 0.5f}, moved = {0, 1, -3, 10, 0.25f},
               m = {2, 0, -5, -8, 0.125f};
  Values last(5);
  for (const char* kappa : {"0.25", "0.5", "1", "2", "4"}) {
    const Values committed = Commit(Set{{"kappa", kappa}})(d, moved, m);
    for (size_t i = 0; i < 5; ++i) {
      CHECK(std::abs(committed[i]) >= std::abs(last[i]));
    }
    last = committed;
  }
  CHECK(last[0] != 0);
}

TEST_CASE("One worker's GEM without momentum is single", "[trainers]") {
  ToyJob job{.trainer = "gem",
             .set = {{"momentum", "0"}},
             .start = {1024, -96},
             .gradient = Bowl};
  const Values gem = TrainAlone(job, 11);
  job.trainer = "single";
  job.set = {};
  CHECK(gem == TrainAlone(job, 11));
}

TEST_CASE("The reference code's GEM stands still every other step",
          "[trainers]") {
  // |c - s| holds the worker's own last commit: of 8 halvings 4 are left.
  ToyJob job{.trainer = "gem",
             .set = {{"momentum", "0"}, {"count_own_update", "true"}},
             .start = {256},
             .gradient = Bowl};
  CHECK(TrainAlone(job, 8) == Values{16});
  job.set["count_own_update"] = "false";
  CHECK(TrainAlone(job, 8) == Values{1});
}

TEST_CASE("Counting its own update, GEM counts others' too", "[trainers]") {
  ScriptedCluster cluster(
      {.trainer = "gem",
       .set = {{"momentum", "0"}, {"count_own_update", "true"}},
       .workers = 2,
       .lr = 1,
       .start = {0},
       .gradient = Constant({-8, -10})});
  cluster.Run({0});
  CHECK(cluster.Center() == Values{8});
  cluster.Run({1});  // moved 8 of 10
  CHECK(cluster.Center() == Values{10});
  cluster.Run({0});  // its own 8 and the other's 2
  CHECK(cluster.Center() == Values{10});
  cluster.Run({1});  // its own 2: 8 of 10
  CHECK(cluster.Center() == Values{18});
}

TEST_CASE("Many identical workers' GEM moves as far as one", "[trainers]") {
  const int workers = GENERATE(1, 2, 4, 8);
  ScriptedCluster cluster({.trainer = "gem",
                           .set = {{"momentum", "0"}},
                           .workers = workers,
                           .lr = 0.5f,
                           .start = {1024},
                           .gradient = Bowl});
  // The first commits a step of SGD, the others find it done.
  for (float expected : {512.0f, 256.0f, 128.0f, 64.0f}) {
    cluster.RoundRobin(1);
    CHECK(cluster.Center() == Values{expected});
  }
}

TEST_CASE("A burst of GEM moves by kappa times the largest proxy at most",
          "[trainers]") {
  const int workers = GENERATE(1, 3, 10, 50);
  const MadeTrainer made =
      *MakeTrainer("gem", {{"kappa", "2"}, {"momentum", "0.875"}}, {});
  Shard shard(1);
  Flat value(1);
  int state = 1;
  for (int burst = 0; burst < 30; ++burst) {
    const float from = shard.center[0];
    for (int w = 0; w < workers; ++w) shard.seen(w).CopyFrom(shard.center);
    double largest = 0;
    for (int w = 0; w < workers; ++w) {
      state = (state * 75 + 74) % 65537;  // any integers will do
      value[0] = static_cast<float>(state % 41 - 20);
      made.trainer->Apply({.value = value, .worker = w}, shard);
      largest = std::max(largest, double{std::abs(shard.slot("proxy", w)[0])});
      CHECK(std::abs(double{shard.center[0]} - double{from}) <=
            2 * largest + 1e-4);  // but for rounding
    }
  }
}

TEST_CASE("GEM's keys, defaults and refusals", "[trainers]") {
  const MadeTrainer made = *MakeTrainer("gem", {}, {});
  CHECK(made.resolved == Set{{"window", "1"},
                             {"momentum", "0.9"},
                             {"kappa", "1"},
                             {"clamp_min", "0"},
                             {"clamp_max", "5"},
                             {"epsilon", "1e-12"},
                             {"count_own_update", "false"}});
  CHECK(made.warnings.empty());
  CHECK(MakeTrainer("gem", {{"kappa", "4"}}, {})->warnings.size() == 1);
  CHECK_THAT(Refusal("gem", {{"kappa", "0"}}), Catch::Contains("above 0"));
  CHECK_THAT(Refusal("gem", {{"momentum", "1"}}),
             Catch::Contains("at least 0, below 1"));
  CHECK_THAT(Refusal("gem", {{"clamp_min", "6"}}),
             Catch::Contains("clamp_min at most clamp_max"));
  CHECK_FALSE(CheckOptimizer("gem", made.trainer->traits(),
                             **MakeOptimizer("adam", 0.1f))
                  .ok());
}

}  // namespace
}  // namespace monsoon
