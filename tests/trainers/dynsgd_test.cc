// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

TEST_CASE("DynSGD's updates from one version are worth 1, 1/2, 1/3, 1/4",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "dynsgd",
                           .set = {{"window", "1"}},
                           .workers = 4,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-12, -12, -12, -12})});
  cluster.Run({0});
  CHECK(cluster.Center() == Values{12});
  cluster.Run({1});
  CHECK(cluster.Center() == Values{18});
  cluster.Run({2});
  CHECK(cluster.Center() == Values{22});
  cluster.Run({3});
  CHECK(cluster.Center() == Values{25});
  // Three others since its own; then none.
  cluster.Run({0});
  CHECK(cluster.Center() == Values{28});
  cluster.Run({0});
  CHECK(cluster.Center() == Values{40});
  CHECK(cluster.x(0) == Values{40});
  CHECK(cluster.x(1) == Values{18});
}

TEST_CASE("DynSGD pushes the way of a window, and of the last", "[trainers]") {
  ScriptedCluster cluster({.trainer = "dynsgd",
                           .set = {{"window", "2"}},
                           .workers = 2,
                           .lr = 0.5f,
                           .start = {8},
                           .gradient = Bowl});
  cluster.Run({0, 0});  // 8, 4, 2: c = 8 - 6
  CHECK(cluster.Center() == Values{2});
  cluster.Run({1, 1});  // -6 from a version ago: c = 2 - 3
  CHECK(cluster.Center() == Values{-1});
  CHECK(cluster.x(1) == Values{-1});
  cluster.Run({0});
  cluster.End(0);  // 2, 1, stale by one: c = -1 - 1 / 2
  CHECK(cluster.Center() == Values{-1.5f});
}

TEST_CASE("One worker's DynSGD is delta Downpour, bit for bit", "[trainers]") {
  const std::string window = GENERATE("1", "5");
  const std::string optimizer = GENERATE("sgd", "nesterov", "adam");
  ToyJob job{.trainer = "dynsgd",
             .set = {{"window", window}},
             .optimizer = optimizer,
             .lr = 0.01f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Booth};
  const Values dynsgd = TrainAlone(job, 22);
  job.trainer = "downpour";
  job.set["form"] = "delta";
  CHECK(SameBits(dynsgd, TrainAlone(job, 22)));
  CHECK(dynsgd != job.start);
}

TEST_CASE("One worker's DynSGD is single on exact numbers", "[trainers]") {
  const std::string window = GENERATE("1", "2", "3");
  ToyJob job{.trainer = "dynsgd",
             .set = {{"window", window}},
             .start = {1024, -96},
             .gradient = Bowl};
  const Values dynsgd = TrainAlone(job, 11);
  job.trainer = "single";
  job.set = {};
  CHECK(dynsgd == TrainAlone(job, 11));
}

// ConSGD: every update divided by the number of workers. The first round's
// updates, of another staleness, are none.
TEST_CASE("DynSGD in a round robin is ConSGD", "[trainers]") {
  const int workers = GENERATE(2, 4, 8);
  ToyJob job{.trainer = "dynsgd",
             .set = {{"window", "1"}},
             .workers = workers,
             .lr = 0.5f,
             .start = {1 << 20, -(1 << 18)},
             .gradient = [](int, int64_t step, const Flat& x, Flat& gradient) {
               gradient.CopyFrom(x);
               if (step == 0) ForEach([](float& g) { g = 0; }, gradient);
             }};
  ScriptedCluster dynsgd(job);
  job.trainer = "downpour";
  job.set = {{"server_lr", std::to_string(0.5 / workers)}};
  ScriptedCluster consgd(job);
  dynsgd.RoundRobin(2);
  consgd.RoundRobin(2);
  CHECK(dynsgd.Center() == consgd.Center());
  CHECK(dynsgd.Center() != job.start);
  // After that, rounding: the one divides a difference, the other the rate.
  dynsgd.RoundRobin(10);
  consgd.RoundRobin(10);
  CHECK(dynsgd.Center()[0] ==
        Approx(consgd.Center()[0]).margin(1).epsilon(1e-5));
}

TEST_CASE("DynSGD's staleness counts the versions between", "[trainers]") {
  ScriptedCluster cluster({.trainer = "dynsgd",
                           .set = {{"window", "1"}},
                           .workers = 3,
                           .start = {1},
                           .gradient = Bowl});
  cluster.Run({0, 1, 0, 0, 2, 1, 1, 0});
  using Histogram = std::map<int64_t, int64_t>;
  CHECK(cluster.counters(0).staleness == Histogram{{0, 2}, {1, 1}, {3, 1}});
  CHECK(cluster.counters(1).staleness == Histogram{{0, 1}, {1, 1}, {3, 1}});
  CHECK(cluster.counters(2).staleness == Histogram{{4, 1}});
}

// |c| after a round robin with window 1 on x^2 / 2, where the center goes as
// c <- c - (a / n) * c of n - 1 pushes ago.
double AfterRoundRobin(int workers, double a) {
  ScriptedCluster cluster({.trainer = "dynsgd",
                           .set = {{"window", "1"}},
                           .workers = workers,
                           .lr = static_cast<float>(a),
                           .start = {1},
                           .gradient = Bowl});
  double c = 1;
  for (int i = 0; i < 100 && c < 1e6 && c > 1e-6; ++i) {
    cluster.RoundRobin(25);
    c = std::abs(double{cluster.Center()[0]});
  }
  return c;
}

TEST_CASE("DynSGD diverges at the rate at which delay makes it", "[trainers]") {
  const int n = GENERATE(2, 4, 8);
  CAPTURE(n);
  const double pi = std::acos(-1.0);
  const double critical = 2 * n * std::sin(pi / (4 * n - 2));
  CHECK(AfterRoundRobin(n, 0.98 * critical) < 1e-3);
  CHECK(AfterRoundRobin(n, 1.03 * critical) > 1e3);
}

TEST_CASE("DynSGD's largest rate hardly depends on the workers", "[trainers]") {
  // pi / 2 for ever so many, where Downpour's goes as 1 / n.
  for (int n : {1, 2, 4, 16}) CHECK(AfterRoundRobin(n, 1.5) < 1e-3);
}

TEST_CASE("DynSGD's keys, defaults and refusals", "[trainers]") {
  const MadeTrainer made = *MakeTrainer("dynsgd", {}, {});
  CHECK(made.resolved == Set{{"window", "5"}});
  CHECK_THAT(Refusal("dynsgd", {{"window", "0"}}),
             Catch::Contains("1 or more"));
  CHECK_THAT(Refusal("dynsgd", {{"max_lead", "2"}}),
             Catch::Contains("trainer dynsgd"));
  const Flat none(1);
  CHECK(made.trainer->Discount({.value = none, .staleness = 9}) == 0.1f);
}

}  // namespace
}  // namespace monsoon
