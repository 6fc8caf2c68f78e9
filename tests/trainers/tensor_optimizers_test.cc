// SPDX-License-Identifier: Apache-2.0
// The rules of whole tensors: AdamW, LARS, LAMB.
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/trainers/scripted_cluster.h"
#include "trainers/optimizer.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;

// One tensor after the steps of these gradients.
Values After(const std::string& name, float lr, const TensorStep& tensor,
             const Values& start, const std::vector<Values>& gradients) {
  const auto rule = *MakeOptimizer(name, lr);
  const auto size = static_cast<int64_t>(start.size());
  Slots slots(size);
  Flat x(size), g(size);
  std::copy(start.begin(), start.end(), x.data());
  for (const Values& gradient : gradients) {
    std::copy(gradient.begin(), gradient.end(), g.data());
    rule->Begin(slots);
    rule->StepTensor(lr, tensor, g, x, slots);
  }
  return {x.data(), x.data() + size};
}

double Length(const Values& values) {
  double squares = 0;
  for (float v : values) squares += double{v} * double{v};
  return std::sqrt(squares);
}

Values Minus(const Values& a, const Values& b) {
  Values difference;
  for (size_t i = 0; i < a.size(); ++i) difference.push_back(a[i] - b[i]);
  return difference;
}

const TensorStep kPlain;
const TensorStep kBias = {.is_weight = false};

ToyJob Job(const std::string& optimizer) {
  return {.trainer = "single",
          .optimizer = optimizer,
          .lr = 0.05f,
          .start = {90, 90, -3.7f, 11.1f, 2, -5},
          .gradient = Booth,
          .biases = 2};
}

TEST_CASE("AdamW without decay is Adam, bit for bit") {
  CHECK(SameBits(TrainAlone(Job("adamw"), 100), TrainAlone(Job("adam"), 100)));
}

TEST_CASE("AdamW's decay is no part of the gradient") {
  // m/(sqrt(q)) is 1 after the first step, whatever the gradient:
  // x = (1 - 0.5*0.25)*8 - 0.5.
  CHECK(After("adamw", 0.5f, {.decay = 0.25f}, {8}, {{4}})[0] == Approx(6.5));
  CHECK(After("adamw", 0.5f, {.decay = 0.25f}, {8}, {{-1000}})[0] ==
        Approx(7.5));
  // Without gradient it decays alone: 7/8 of it, twice.
  CHECK(After("adamw", 0.5f, {.decay = 0.25f}, {64}, {{0}, {0}}) == Values{49});
}

TEST_CASE("AdamW's weights decay in training, its biases do not") {
  ToyJob job = Job("adamw");
  job.gradient = Constant({0});
  job.start = {8, 64, 16, 32};
  job.lr = 0.5f;
  job.rules.weight_decay = 0.25f;
  CHECK(TrainAlone(job, 1) == Values{7, 56, 16, 32});
}

// |w| = 5 and |g| = 10: r = 0.001 * 5 / 10, but for 1e-8.
TEST_CASE("LARS steps by a part of the length of the weights") {
  const Values start = {3, 4};
  const Values once = After("lars", 0.5f, kPlain, start, {{6, 8}});
  CHECK(once[0] == Approx(3 - 0.5 * 0.0005 * 6));
  CHECK(once[1] == Approx(4 - 0.5 * 0.0005 * 8));
  CHECK(Length(Minus(once, start)) == Approx(0.5 * 0.001 * 5).epsilon(1e-3));
  // v = 0.9*v + r*g, with r of the new weights.
  const Values twice = After("lars", 0.5f, kPlain, start, {{6, 8}, {-6, 8}});
  const double r = 0.001 * Length(once) / 10;
  CHECK(twice[0] == Approx(double{once[0]} - 0.5 * (0.9 * 0.003 - 6 * r)));
  CHECK(twice[1] == Approx(double{once[1]} - 0.5 * (0.9 * 0.004 + 8 * r)));
}

TEST_CASE("LARS's decay is in the gradient and in its ratio") {
  // r = 0.001 * 5 / (10 + 0.5 * 5), g + w/2 = (7.5, 10).
  const Values x = After("lars", 100, {.decay = 0.5f}, {3, 4}, {{6, 8}});
  CHECK(x[0] == Approx(3 - 100 * 0.0004 * 7.5));
  CHECK(x[1] == Approx(4 - 100 * 0.0004 * 10));
}

TEST_CASE("LARS does not see how long a gradient is") {
  const Values start = {3, 4, -1};
  const Values one = After("lars", 1, kPlain, start, {{6, 8, 1}, {2, -3, 5}});
  for (float scale : {0.125f, 1024.0f}) {
    const Values other = After(
        "lars", 1, kPlain, start,
        {{6 * scale, 8 * scale, scale}, {2 * scale, -3 * scale, 5 * scale}});
    for (size_t i = 0; i < 3; ++i) {
      CHECK(one[i] - start[i] == Approx(other[i] - start[i]).epsilon(1e-3));
    }
  }
  // sgd with momentum does, and so do biases.
  CHECK(After("lars", 0.5f, kBias, {1}, {{2}, {1}})[0] == Approx(-1.4));
}

TEST_CASE("LAMB steps by its rate times the length of the weights") {
  const Values start = {3, 4};
  for (float lr : {0.01f, 0.5f}) {
    for (const Values& g : {Values{6, 8}, Values{-0.1f, 100}}) {
      const Values x = After("lamb", lr, kPlain, start, {g});
      CHECK(Length(Minus(x, start)) == Approx(double{lr} * 5));
      // Adam's first direction is that of the signs.
      CHECK(std::abs(x[0] - 3) == Approx(std::abs(x[1] - 4)).epsilon(1e-3));
      CHECK((x[0] < 3) == (g[0] > 0));
    }
  }
  // And after any number of steps.
  const std::vector<Values> gradients = {{6, 8}, {-1, 3}, {2, 0.5f}};
  const Values two =
      After("lamb", 0.1f, kPlain, start, {gradients[0], gradients[1]});
  const Values three = After("lamb", 0.1f, kPlain, start, gradients);
  CHECK(Length(Minus(three, two)) == Approx(0.1 * Length(two)));
}

TEST_CASE("LAMB's decay is in the direction") {
  // d = (1, 1) + (3, 4)/2, whose length is 3.905125; |w| = 5.
  const Values x = After("lamb", 0.5f, {.decay = 0.5f}, {3, 4}, {{6, 8}});
  CHECK(x[0] == Approx(3 - 0.5 * 5 / 3.905125 * 2.5));
  CHECK(x[1] == Approx(4 - 0.5 * 5 / 3.905125 * 3));
}

TEST_CASE("LAMB of a bias is Adam") {
  const std::vector<Values> gradients = {{6, 8}, {-1, 3}, {2, 0.5f}};
  const Values lamb = After("lamb", 0.1f, kBias, {3, 4}, gradients);
  const Values adam = After("adamw", 0.1f, kBias, {3, 4}, gradients);
  for (size_t i = 0; i < 2; ++i) CHECK(lamb[i] == Approx(adam[i]));
}

TEST_CASE("Weights of zeros train, and without gradient nothing moves") {
  const std::string name = GENERATE("adamw", "lars", "lamb");
  CAPTURE(name);
  for (float x : After(name, 0.1f, kPlain, {0, 0}, {{1, 1}})) {
    CHECK(x == Approx(-0.1));
  }
  CHECK(After(name, 0.1f, kPlain, {3, 4}, {{0, 0}}) == Values{3, 4});
  CHECK(After(name, 0.1f, kPlain, {0, 0}, {{0, 0}}) == Values{0, 0});
}

TEST_CASE("Every tensor has a ratio of its own") {
  const std::string name = GENERATE("lars", "lamb");
  CAPTURE(name);
  // Weights of the lengths 4 and, of the bias, none of its business.
  ToyJob job{.trainer = "single",
             .optimizer = name,
             .lr = 0.5f,
             .start = {4, 0, 1000},
             .gradient = Constant({8}),
             .biases = 1};
  const Values x = TrainAlone(job, 1);
  const Values alone = After(name, 0.5f, kPlain, {4, 0}, {{8, 8}});
  CHECK(x[0] == alone[0]);
  CHECK(x[1] == alone[1]);
  CHECK(x[2] == Approx(name == "lars" ? 1000 - 0.5 * 8 : 1000 - 0.5));
}

TEST_CASE("Rules of whole tensors are the workers' alone") {
  CHECK(ServerOptimizerNames() == std::vector<std::string>{"adagrad", "adam",
                                                           "momentum",
                                                           "nesterov", "sgd"});
  for (const char* name : {"adamw", "lars", "lamb"}) {
    const auto rule = *MakeOptimizer(name, 0.1f);
    CHECK(rule->takes_tensors());
    const MadeTrainer sync =
        *MakeTrainer("sync", {{"server_optimizer", "sgd"}}, {});
    const absl::Status status =
        CheckOptimizer("sync", sync.trainer->traits(), *rule);
    CHECK_THAT(std::string(status.message()),
               Catch::Contains("trainer sync takes no local steps") &&
                   Catch::Contains("nesterov"));
    const MadeTrainer diloco = *MakeTrainer("diloco", {}, {});
    CHECK(CheckOptimizer("diloco", diloco.trainer->traits(), *rule).ok());
  }
}

}  // namespace
}  // namespace monsoon
