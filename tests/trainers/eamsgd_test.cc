// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

TEST_CASE("EAMSGD looks ahead along its velocity and averages elastically",
          "[trainers]") {
  ScriptedCluster cluster(
      {.trainer = "eamsgd",
       .set = {{"alpha", "0.5"}, {"momentum", "0.5"}, {"window", "2"}},
       .workers = 2,
       .lr = 0.5f,
       .start = {8},
       .gradient = Bowl});
  cluster.Run({0});  // g(8): v = -4
  CHECK(cluster.x(0) == Values{4});
  CHECK(cluster.Center() == Values{8});
  // g(4 - 2): v = -2 - 1, x = 1; e = (1 - 8) / 2
  cluster.Run({0});
  CHECK(cluster.x(0) == Values{4.5f});
  CHECK(cluster.Center() == Values{4.5f});
  // The same way to 1, from the start; e = (1 - 4.5) / 2.
  cluster.Run({1, 1});
  CHECK(cluster.x(1) == Values{2.75f});
  CHECK(cluster.Center() == Values{2.75f});
  // The exchange has left v = -3: g(4.5 - 1.5), v = -1.5 - 1.5, x = 1.5; the
  // tail's e = (1.5 - 2.75) / 2.
  cluster.Run({0});
  CHECK(cluster.x(0) == Values{1.5f});
  cluster.End(0);
  CHECK(cluster.x(0) == Values{2.125f});
  CHECK(cluster.Center() == Values{2.125f});
  CHECK(cluster.x(1) == Values{2.75f});
}

TEST_CASE("EAMSGD without momentum is AEASGD, bit for bit", "[trainers]") {
  const std::string window = GENERATE("1", "3");
  ToyJob job{.trainer = "eamsgd",
             .set = {{"momentum", "0"}, {"window", window}},
             .workers = 3,
             .lr = 0.05f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Booth};
  ScriptedCluster eamsgd(job);
  job.trainer = "aeasgd";
  job.set = {{"window", window}};
  ScriptedCluster aeasgd(job);
  for (int i = 0; i < 40; ++i) {
    eamsgd.Run({i % 3, (i * i) % 3});
    aeasgd.Run({i % 3, (i * i) % 3});
  }
  CHECK(SameBits(eamsgd.Center(), aeasgd.Center()));
  for (int w = 0; w < 3; ++w) CHECK(SameBits(eamsgd.x(w), aeasgd.x(w)));
  CHECK(eamsgd.Center() != job.start);
}

// The points at which one worker's gradients are taken.
std::vector<double> Visited(ToyJob job, int steps) {
  std::vector<double> points;
  job.gradient = [&points](int, int64_t, const Flat& x, Flat& gradient) {
    points.push_back(double{x[0]});
    Booth(0, 0, x, gradient);
  };
  ScriptedCluster cluster(job);
  cluster.RoundRobin(steps);
  return points;
}

// What PyTorch's form moves is the point ahead: y = x + delta*v.
TEST_CASE("Between exchanges EAMSGD's gradients are Nesterov's", "[trainers]") {
  ToyJob job{.trainer = "eamsgd",
             .set = {{"momentum", "0.9"}, {"window", "1000"}},
             .lr = 0.01f,
             .start = {90, 90}};
  const std::vector<double> eamsgd = Visited(job, 40);
  job.trainer = "single";
  job.set = {};
  job.optimizer = "nesterov";
  const std::vector<double> nesterov = Visited(job, 40);
  REQUIRE(eamsgd.size() == nesterov.size());
  for (size_t i = 0; i < eamsgd.size(); ++i) {
    CHECK(eamsgd[i] == Approx(nesterov[i]).margin(1e-3));
  }
}

TEST_CASE("EAMSGD's exchange leaves the sum of replicas and center",
          "[trainers]") {
  const Values gradients = {1, -5, 3};
  ScriptedCluster cluster(
      {.trainer = "eamsgd",
       .set = {{"alpha", "0.5"}, {"momentum", "0.5"}, {"window", "2"}},
       .workers = 3,
       .lr = 1,
       .start = {10, -6},
       .gradient = Constant(gradients)});
  double gone = 0;
  std::vector<double> velocity(3);
  for (int worker : {2, 2, 0, 1, 1, 0, 1, 2, 1, 0, 2, 0}) {
    cluster.Run({worker});
    const auto w = static_cast<size_t>(worker);
    velocity[w] = 0.5 * velocity[w] - double{gradients[w]};
    gone += velocity[w];
    for (size_t i = 0; i < 2; ++i) {
      double sum = cluster.Center()[i];
      for (int each = 0; each < 3; ++each) sum += double{cluster.x(each)[i]};
      CHECK(sum == 4 * double{Values{10, -6}[i]} + gone);
    }
  }
}

// |c| + |x| after one worker's steps of rate a on x^2 / 2, window 1, without
// momentum. With r = 1 - a a step takes (x, c) to
//   (1-alpha)*r*x + alpha*c,  alpha*r*x + (1-alpha)*c
// of trace (1-alpha)*(1+r) and determinant r*(1-2*alpha), so that an eigenvalue
// is -1 where 2 + 2*r = alpha*(1 + 3*r).
double AfterSteps(double alpha, double a) {
  ScriptedCluster cluster({.trainer = "eamsgd",
                           .set = {{"alpha", std::to_string(alpha)},
                                   {"momentum", "0"},
                                   {"window", "1"}},
                           .lr = static_cast<float>(a),
                           .start = {1},
                           .gradient = Bowl});
  double size = 1;
  for (int i = 0; i < 40 && size < 1e6 && size > 1e-6; ++i) {
    cluster.RoundRobin(25);
    size = std::abs(double{cluster.Center()[0]}) +
           std::abs(double{cluster.x(0)[0]});
  }
  return size;
}

TEST_CASE("EAMSGD diverges at the rate at which its exchange does",
          "[trainers]") {
  const double alpha = GENERATE(0.125, 0.25);
  CAPTURE(alpha);
  const double critical = 1 + (2 - alpha) / (2 - 3 * alpha);
  CHECK(AfterSteps(alpha, 0.98 * critical) < 1e-3);
  CHECK(AfterSteps(alpha, 1.03 * critical) > 1e3);
}

TEST_CASE("EAMSGD's keys, defaults and refusals", "[trainers]") {
  JobFacts facts;
  facts.workers = 4;
  const MadeTrainer made = *MakeTrainer("eamsgd", {}, facts);
  CHECK(made.resolved ==
        Set{{"alpha", "0.225"}, {"momentum", "0.9"}, {"window", "10"}});
  CHECK_THAT(
      Refusal("eamsgd", {{"momentum", "1"}}),
      Catch::Contains("momentum=1") && Catch::Contains("at least 0, below 1"));
  CHECK_THAT(Refusal("eamsgd", {{"alpha", "1"}}),
             Catch::Contains("above 0, below 1"));
  CHECK_THAT(Refusal("eamsgd", {{"window", "0"}}),
             Catch::Contains("1 or more"));
  CHECK(MakeTrainer("eamsgd", {{"alpha", "0.4"}}, facts)->warnings.size() == 1);
  // Its momentum is the trainer's: no other optimizer beside it.
  CHECK_FALSE(CheckOptimizer("eamsgd", made.trainer->traits(),
                             **MakeOptimizer("momentum", 0.1f))
                  .ok());
}

}  // namespace
}  // namespace monsoon
