// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

TEST_CASE("Distance-ADAG halves an update where the center went sqrt(gamma)",
          "[trainers]") {
  ScriptedCluster cluster(
      {.trainer = "adag_distance",
       .set = {{"gamma", "16"}, {"window", "2"}},
       .workers = 2,
       .lr = 1,
       .start = {0},
       .gradient = [](int worker, int64_t step, const Flat&, Flat& g) {
         g[0] = worker == 1 ? 8.0f : (step < 4 ? -4.0f : -2.0f);
       }});
  cluster.Run({0, 0});  // u = 8 / 2, and nobody was there: c = 4
  CHECK(cluster.Center() == Values{4});
  cluster.Run({1, 1});  // u = -16 / 2, c - c' = 4: c = 4 - 8 / 2
  CHECK(cluster.Center() == Values{0});
  CHECK(cluster.x(1) == Values{0});
  cluster.Run({0, 0});  // u = 4, c - c' = -4: c = 0 + 4 / 2
  CHECK(cluster.Center() == Values{2});
  cluster.Run({0, 0});  // u = 2 from 2 itself
  CHECK(cluster.Center() == Values{4});
  cluster.Run({1});
  cluster.End(1);  // u = -8 / 1, c - c' = 4: c = 4 - 8 / 2
  CHECK(cluster.Center() == Values{0});
}

// How much of an update of 1 is left when the center has gone `way`.
double Left(const std::string& gamma, float way) {
  const MadeTrainer made =
      *MakeTrainer("adag_distance", {{"gamma", gamma}}, {});
  Shard shard(2);
  shard.seen(0);  // from 0, and the second element never moves
  shard.center[0] = way;
  Flat u(2);
  u[0] = u[1] = 1;
  made.trainer->Apply({.value = u}, shard);
  CHECK(shard.center[1] == 1);
  return double{shard.center[0]} - double{way};
}

TEST_CASE("Distance-ADAG's factor falls from 1 to 0 with the distance",
          "[trainers]") {
  CHECK(Left("0.25", 0) == 1);
  CHECK(Left("0.25", 0.5f) == 0.5);
  CHECK(Left("0.25", -0.5f) == 0.5);
  CHECK(Left("4", 2) == 0.5);
  CHECK(Left("12", 6) == 0.25);
  double last = 1;
  for (float way : {0.25f, 1.0f, 3.0f, 10.0f, 100.0f}) {
    const double left = Left("1", way);
    CHECK(left > 0);
    CHECK(left < last);
    CHECK(left == Approx(1 / (1 + double{way} * double{way})).margin(1e-5));
    last = left;
  }
}

TEST_CASE("Distance-ADAG drops what moved where gamma is next to nothing",
          "[trainers]") {
  CHECK(Left("1e-30", 1) == 0);
  CHECK(Left("1e-30", 0) == 1);
}

// The centers of both after the same uneven schedule.
bool AreTheSame(ToyJob one, ToyJob other) {
  ScriptedCluster a(one), b(other);
  for (int i = 0; i < 40; ++i) {
    a.Run({i % one.workers, (i * i) % one.workers});
    b.Run({i % one.workers, (i * i) % one.workers});
  }
  a.EndAll();
  b.EndAll();
  CHECK(a.Center() != one.start);
  return SameBits(a.Center(), b.Center());
}

ToyJob Job(const std::string& trainer, const Set& set, int workers) {
  return {.trainer = trainer,
          .set = set,
          .workers = workers,
          .lr = 0.01f,
          .start = {90, 90, -3.7f, 11.1f},
          .gradient = Booth};
}

TEST_CASE("Distance-ADAG with an endless gamma is ADAG, bit for bit",
          "[trainers]") {
  const std::string window = GENERATE("1", "3");
  CHECK(AreTheSame(
      Job("adag_distance", {{"gamma", "1e30"}, {"window", window}}, 3),
      Job("adag", {{"window", window}}, 3)));
  CHECK_FALSE(
      AreTheSame(Job("adag_distance", {{"gamma", "1"}, {"window", window}}, 3),
                 Job("adag", {{"window", window}}, 3)));
}

TEST_CASE("One worker's distance-ADAG is the rule in it, bit for bit",
          "[trainers]") {
  const std::string window = GENERATE("1", "3", "7");
  const std::string optimizer = GENERATE("sgd", "nesterov", "adam");
  ToyJob adag = Job("adag", {{"window", window}}, 1);
  ToyJob distance = Job("adag_distance", {{"window", window}}, 1);
  adag.optimizer = distance.optimizer = optimizer;
  CHECK(AreTheSame(distance, adag));

  ToyJob downpour = Job("downpour", {{"form", "delta"}, {"window", window}}, 1);
  downpour.optimizer = optimizer;
  distance.set["normalize"] = "false";
  CHECK(AreTheSame(distance, downpour));
}

TEST_CASE("One worker's distance-ADAG with window 1 is single", "[trainers]") {
  ToyJob job{.trainer = "adag_distance",
             .set = {{"window", "1"}},
             .start = {1024, -96},
             .gradient = Bowl};
  const Values distance = TrainAlone(job, 11);
  job.trainer = "single";
  job.set = {};
  CHECK(distance == TrainAlone(job, 11));
}

TEST_CASE("Distance-ADAG's keys, defaults and refusals", "[trainers]") {
  CHECK(MakeTrainer("adag_distance", {}, {})->resolved ==
        Set{{"window", "12"}, {"gamma", "1e-04"}, {"normalize", "true"}});
  CHECK_THAT(Refusal("adag_distance", {{"gamma", "0"}}),
             Catch::Contains("gamma=0") && Catch::Contains("above 0"));
  CHECK_THAT(Refusal("adag_distance", {{"normalize", "perhaps"}}),
             Catch::Contains("true or false"));
  CHECK_THAT(Refusal("adag_distance", {{"gama", "1"}}),
             Catch::Contains("did you mean \"gamma\""));
}

}  // namespace
}  // namespace monsoon
