// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;

// Every worker's first gradient is `kick` of its own; later ones are zero.
ToyGradient Kick(std::vector<float> by_worker) {
  return [kick = Constant(std::move(by_worker))](
             int worker, int64_t step, const Flat& x, Flat& gradient) {
    kick(worker, step, x, gradient);
    if (step > 0) ForEach([](float& g) { g = 0; }, gradient);
  };
}

TEST_CASE("AEASGD moves center and replica by the same elastic difference",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "aeasgd",
                           .set = {{"alpha", "0.25"}, {"window", "1"}},
                           .workers = 2,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-4, 8})});
  cluster.Run({0});  // x0 = 4, e = 1
  CHECK(cluster.Center() == Values{1});
  CHECK(cluster.x(0) == Values{3});
  cluster.Run({1});  // x1 = -8, e = (-8 - 1) / 4 = -2.25
  CHECK(cluster.Center() == Values{-1.25f});
  CHECK(cluster.x(1) == Values{-5.75f});
  CHECK(cluster.x(0) == Values{3});
  cluster.Run({0});  // x0 = 7, e = 8.25 / 4 = 2.0625
  CHECK(cluster.Center() == Values{0.8125f});
  CHECK(cluster.x(0) == Values{4.9375f});
}

TEST_CASE("AEASGD exchanges once a window and once more at the end",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "aeasgd",
                           .set = {{"alpha", "0.5"}, {"window", "3"}},
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-2})});
  cluster.RoundRobin(2);
  CHECK(cluster.Center() == Values{0});
  cluster.RoundRobin(1);  // x = 6, e = 3
  CHECK(cluster.Center() == Values{3});
  cluster.RoundRobin(1);
  CHECK(cluster.x(0) == Values{5});
  cluster.EndAll();  // x = 5, e = 1
  CHECK(cluster.Center() == Values{4});
  CHECK(cluster.x(0) == Values{4});
  CHECK(cluster.counters(0).pushes == 2);
}

TEST_CASE("AEASGD takes any local optimizer", "[trainers]") {
  ScriptedCluster cluster({.trainer = "aeasgd",
                           .set = {{"alpha", "0.5"}, {"window", "1"}},
                           .optimizer = "momentum",
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-10})});
  // v = -10, x = 10, e = 5; v = -19, x = 5 + 19 = 24, e = (24 - 5) / 2: the
  // elastic move leaves the velocity alone.
  cluster.RoundRobin(2);
  CHECK(cluster.Center()[0] == Approx(14.5));
  CHECK(cluster.x(0)[0] == Approx(14.5));
}

TEST_CASE("AEASGD conserves the sum of replicas and center", "[trainers]") {
  ScriptedCluster cluster({.trainer = "aeasgd",
                           .set = {{"alpha", "0.5"}, {"window", "2"}},
                           .workers = 3,
                           .lr = 1,
                           .start = {10, -6},
                           .gradient = Constant({1, -5, 3})});
  const std::vector<int> schedule = {2, 2, 0, 1, 1, 0, 1, 2, 1, 0, 2, 0};
  double gone = 0;
  for (int worker : schedule) {
    cluster.Run({worker});
    gone += Values{-1, 5, -3}[static_cast<size_t>(worker)];
    for (size_t i = 0; i < 2; ++i) {
      double sum = cluster.Center()[i];
      for (int w = 0; w < 3; ++w) sum += double{cluster.x(w)[i]};
      CHECK(sum == 4 * Values{10, -6}[i] + gone);
    }
  }
}

TEST_CASE("AEASGD with alpha 1/2 makes replica and center their mean",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "aeasgd",
                           .set = {{"alpha", "0.5"}, {"window", "1"}},
                           .lr = 1,
                           .start = {3},
                           .gradient = Constant({-10})});
  cluster.Run({0});  // x = 13
  CHECK(cluster.Center() == Values{8});
  CHECK(cluster.x(0) == Values{8});
}

TEST_CASE("AEASGD's exchange between equals changes nothing", "[trainers]") {
  const Values start = {0.1f, -7.3f, 1e-20f};
  ScriptedCluster cluster({.trainer = "aeasgd",
                           .set = {{"window", "1"}},
                           .workers = 2,
                           .start = start,
                           .gradient = Constant({0, 0})});
  cluster.RoundRobin(5);
  CHECK(cluster.counters(0).pushes == 5);
  CHECK(SameBits(cluster.Center(), start));
  CHECK(SameBits(cluster.x(1), start));
}

TEST_CASE("AEASGD never drives replicas and center apart", "[trainers]") {
  const std::string alpha = GENERATE("0.1", "0.3", "0.9");
  CAPTURE(alpha);
  ScriptedCluster cluster({.trainer = "aeasgd",
                           .set = {{"alpha", alpha}, {"window", "1"}},
                           .workers = 3,
                           .lr = 1,
                           .start = {0},
                           .gradient = Kick({-90, 50, 7})});
  const auto range = [&cluster] {
    Values all = cluster.Center();
    for (int w = 0; w < 3; ++w) all.push_back(cluster.x(w)[0]);
    const auto [low, high] = std::minmax_element(all.begin(), all.end());
    return *high - *low;
  };
  cluster.RoundRobin(1);
  const float first = range();
  CHECK(first > 1);
  float last = first;
  for (int i = 0; i < 300; ++i) {
    cluster.Run({(i * i + 1) % 3});
    cluster.Run({i % 3});
    CHECK(range() <= last * 1.0001f);  // but for rounding
    last = range();
  }
  CHECK(last < 1e-3f * first);
}

TEST_CASE("AEASGD's moving rate is 0.9 over the workers", "[trainers]") {
  for (int workers : {1, 2, 4, 7}) {
    JobFacts facts;
    facts.workers = workers;
    const MadeTrainer made = *MakeTrainer("aeasgd", {}, facts);
    CHECK(std::stod(made.resolved.at("alpha")) == Approx(0.9 / workers));
    CHECK(made.resolved.at("window") == "10");
  }
}

TEST_CASE("A moving rate of 0 or 1 is refused", "[trainers]") {
  for (const char* alpha : {"0", "1", "-0.5", "nan"}) {
    const absl::Status status =
        MakeTrainer("aeasgd", {{"alpha", alpha}}, {}).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()),
               Catch::Contains("above 0, below 1"));
  }
}

}  // namespace
}  // namespace monsoon
