// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

TEST_CASE("DC-ASGD corrects a gradient by the way of the center meanwhile",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "dcasgd",
                           .set = {{"lambda", "0.25"}},
                           .workers = 2,
                           .lr = 0.5f,
                           .start = {0},
                           .gradient = Constant({2, -4})});
  cluster.Run({0});  // c - s = 0: c = -0.5 * 2
  CHECK(cluster.Center() == Values{-1});
  cluster.Run({1});  // c - s = -1: c = -1 - 0.5 * (-4 + 0.25*16*-1)
  CHECK(cluster.Center() == Values{3});
  CHECK(cluster.x(1) == Values{3});
  cluster.Run({0});  // c - s = 4: c = 3 - 0.5 * (2 + 0.25*4*4)
  CHECK(cluster.Center() == Values{0});
  CHECK(cluster.x(0) == Values{0});
  cluster.Run({1});  // c - s = -3: c = 0 - 0.5 * (-4 + 0.25*16*-3)
  CHECK(cluster.Center() == Values{8});
}

TEST_CASE("DC-ASGD's first correction is from the center, not from zeros",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "dcasgd",
                           .set = {{"lambda", "0.25"}},
                           .workers = 2,
                           .lr = 0.5f,
                           .start = {64},
                           .gradient = Constant({2, -4})});
  cluster.Run({0});
  CHECK(cluster.Center() == Values{63});
  cluster.Run({1});  // c - s = -1: c = 63 - 0.5 * (-4 - 4)
  CHECK(cluster.Center() == Values{67});
}

// lambda * g * g stands for the curvature: 1 of x^2 / 2, where x = 2 and
// lambda = 1/4. Then the corrected gradient is that at the center itself.
TEST_CASE("DC-ASGD makes up for a delay where it knows the curvature",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "dcasgd",
                           .set = {{"lambda", "0.25"}},
                           .workers = 3,
                           .lr = 0.5f,
                           .start = {2},
                           .gradient = Bowl});
  cluster.Run({0});
  CHECK(cluster.Center() == Values{1});
  cluster.Run({1});
  CHECK(cluster.Center() == Values{0.5f});
  cluster.Run({2});
  CHECK(cluster.Center() == Values{0.25f});
}

TEST_CASE("DC-ASGD's correction does not see the sign of the gradient",
          "[trainers]") {
  const MadeTrainer made =
      *MakeTrainer("dcasgd", {{"lambda", "0.5"}, {"server_lr", "0.25"}}, {});
  const auto after = [&made](float g) {
    Shard shard(1);
    shard.seen(0);  // 0
    shard.center[0] = 6;
    Flat value(1);
    value[0] = g;
    made.trainer->Apply({.value = value}, shard);
    return shard.center[0];
  };
  for (float g : {1.0f, 2.0f, -4.0f}) {
    CHECK(after(g) + after(-g) == 12 - 2 * 0.25f * 0.5f * g * g * 6);
    CHECK(after(-g) - after(g) == 2 * 0.25f * g);
  }
}

// The mean square is one of all workers: q = 3/4 q + 1/4 g^2.
TEST_CASE("Adaptive DC-ASGD divides lambda by the root of the mean square",
          "[trainers]") {
  const std::vector<Values> gradients = {{4, 2}, {-2, 8}};
  ScriptedCluster cluster(
      {.trainer = "dcasgd",
       .set = {{"adaptive", "true"},
               {"lambda", "0.5"},
               {"mean_square", "0.75"}},
       .workers = 2,
       .lr = 0.5f,
       .start = {0},
       .gradient = [&](int worker, int64_t step, const Flat&, Flat& g) {
         g[0] =
             gradients[static_cast<size_t>(worker)][static_cast<size_t>(step)];
       }});
  cluster.Run({0});  // q = 4, c - s = 0: c = -0.5 * 4
  CHECK(cluster.Center() == Values{-2});
  // q = 3 + 1, lambda / 2: c = -2 - 0.5 * (-2 + 0.25*4*-2)
  cluster.Run({1});
  CHECK(cluster.Center() == Values{0});
  // q = 4 again: c = 0 - 0.5 * (2 + 0.25*4*2)
  cluster.Run({0});
  CHECK(cluster.Center() == Values{-2});
  // q = 3 + 16: c = -2 - 0.5 * (8 + 0.5/sqrt(19)*64*-2)
  cluster.Run({1});
  CHECK(cluster.Center()[0] == Approx(-6 + 32 / 4.3588989));
}

TEST_CASE("DC-ASGD without lambda is asynchronous SGD, bit for bit",
          "[trainers]") {
  const std::string adaptive = GENERATE("false", "true");
  ToyJob job{.trainer = "dcasgd",
             .set = {{"lambda", "0"}, {"adaptive", adaptive}},
             .workers = 3,
             .lr = 0.05f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Booth};
  ScriptedCluster dcasgd(job);
  job.trainer = "downpour";
  job.set = {{"form", "gradient"}};
  ScriptedCluster downpour(job);
  for (int i = 0; i < 40; ++i) {
    dcasgd.Run({i % 3, (i * i) % 3});
    downpour.Run({i % 3, (i * i) % 3});
  }
  CHECK(SameBits(dcasgd.Center(), downpour.Center()));
  CHECK(dcasgd.Center() != job.start);
}

TEST_CASE("One worker's DC-ASGD is single, bit for bit", "[trainers]") {
  const std::string adaptive = GENERATE("false", "true");
  ToyJob job{.trainer = "dcasgd",
             .set = {{"adaptive", adaptive}},
             .lr = 0.05f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Booth};
  const Values dcasgd = TrainAlone(job, 100);
  job.trainer = "single";
  job.set = {};
  CHECK(SameBits(dcasgd, TrainAlone(job, 100)));
}

TEST_CASE("DC-ASGD's keys, defaults and refusals", "[trainers]") {
  JobFacts facts;
  facts.lr = 0.25f;
  CHECK(MakeTrainer("dcasgd", {}, facts)->resolved ==
        Set{{"adaptive", "false"},
            {"lambda", "0.04"},
            {"mean_square", "0.95"},
            {"server_lr", "0.25"}});
  CHECK(MakeTrainer("dcasgd", {{"adaptive", "true"}}, facts)
            ->resolved.at("lambda") == "2");
  CHECK_THAT(Refusal("dcasgd", {{"lambda", "-1"}}),
             Catch::Contains("at least 0"));
  CHECK_THAT(Refusal("dcasgd", {{"mean_square", "1"}}),
             Catch::Contains("at least 0, below 1"));
}

}  // namespace
}  // namespace monsoon
