// SPDX-License-Identifier: Apache-2.0
#include "trainers/optimizer.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

namespace monsoon {
namespace {

// x after steps with these gradients, from x = 1 and a rate of 0.5.
double StepsFromOne(const std::string& name,
                    const std::vector<float>& gradients) {
  const auto optimizer = *MakeOptimizer(name, 0.5f);
  Slots slots(1);
  Flat x(1), gradient(1);
  x[0] = 1;
  for (float g : gradients) {
    gradient[0] = g;
    optimizer->Step(gradient, x, slots);
  }
  return x[0];
}

TEST_CASE("sgd steps against the gradient") {
  CHECK(StepsFromOne("sgd", {2}) == 0);
  CHECK(StepsFromOne("sgd", {2, -1}) == 0.5);
}

TEST_CASE("momentum adds the gradient to 0.9 of the velocity") {
  // v = 2, x = 1 - 1 = 0; v = 1.8 + 1 = 2.8, x = 0 - 1.4.
  CHECK(StepsFromOne("momentum", {2}) == 0);
  CHECK(StepsFromOne("momentum", {2, 1}) == Approx(-1.4));
}

TEST_CASE("nesterov steps along the gradient and 0.9 of the new velocity") {
  // v = 2, x = 1 - 0.5 * (2 + 1.8) = -0.9;
  // v = 2.8, x = -0.9 - 0.5 * (1 + 2.52) = -2.66.
  CHECK(StepsFromOne("nesterov", {2}) == Approx(-0.9));
  CHECK(StepsFromOne("nesterov", {2, 1}) == Approx(-2.66));
}

TEST_CASE("adagrad divides by the root of the sum of squares") {
  // G = 9, x = 1 - 0.5 * 3 / 3; G = 25, x = 0.5 - 0.5 * 4 / 5.
  CHECK(StepsFromOne("adagrad", {3}) == Approx(0.5));
  CHECK(StepsFromOne("adagrad", {3, 4}) == Approx(0.1));
  // A coordinate without gradient stays, though nothing was summed up.
  CHECK(StepsFromOne("adagrad", {0}) == 1);
}

TEST_CASE("adam corrects both means for their start at zero") {
  // m = 0.2, q = 0.004; corrected 2 and 4: x = 1 - 0.5 * 2 / 2.
  CHECK(StepsFromOne("adam", {2}) == Approx(0.5));
  // m = 0.08, q = 0.004996; corrected 0.08 / 0.19 = 0.4210526 and
  // 0.004996 / 0.001999 = 2.4992496, whose root is 1.5809015:
  // x = 0.5 - 0.5 * 0.4210526 / 1.5809015 = 0.3668315.
  CHECK(StepsFromOne("adam", {2, -1}) == Approx(0.3668315).epsilon(1e-5));
  CHECK(StepsFromOne("adam", {0}) == 1);
}

TEST_CASE("An optimizer gives the same bits however x is cut") {
  const std::string name = GENERATE(from_range(ServerOptimizerNames()));
  CAPTURE(name);
  const auto optimizer = *MakeOptimizer(name, 0.01f);
  constexpr int64_t kSize = 37, kCut = 11;
  Flat whole(kSize), parts(kSize), gradient(kSize);
  Slots slots(kSize), head(kCut), tail(kSize - kCut);
  for (int step = 0; step < 5; ++step) {
    for (int64_t i = 0; i < kSize; ++i) {
      gradient[i] =
          static_cast<float>(std::sin(static_cast<double>(3 * i + step)));
    }
    optimizer->Step(gradient, whole, slots);
    Flat first = parts.Slice(0, kCut), rest = parts.Slice(kCut, kSize - kCut);
    optimizer->Step(gradient.Slice(0, kCut), first, head);
    optimizer->Step(gradient.Slice(kCut, kSize - kCut), rest, tail);
  }
  REQUIRE(whole[0] != 0);
  CHECK(whole.span() == parts.span());
}

TEST_CASE("A step may be taken in ranges, in any order") {
  const std::string name = GENERATE(from_range(ServerOptimizerNames()));
  CAPTURE(name);
  const auto optimizer = *MakeOptimizer(name, 0.01f);
  constexpr int64_t kSize = 37, kCut = 11;
  Flat whole(kSize), parts(kSize), gradient(kSize);
  Slots slots(kSize), part_slots(kSize);
  for (int step = 0; step < 5; ++step) {
    for (int64_t i = 0; i < kSize; ++i) {
      gradient[i] =
          static_cast<float>(std::cos(static_cast<double>(2 * i + step)));
    }
    const float rate = step == 2 ? 0.5f : 0.01f;
    optimizer->Step(rate, gradient, whole, slots);
    Flat first = parts.Slice(0, kCut), rest = parts.Slice(kCut, kSize - kCut);
    optimizer->Begin(part_slots);
    optimizer->StepRange(rate, gradient.Slice(kCut, kSize - kCut), rest,
                         part_slots, kCut);
    optimizer->StepRange(rate, gradient.Slice(0, kCut), first, part_slots, 0);
  }
  REQUIRE(whole[0] != 0);
  CHECK(std::equal(whole.data(), whole.data() + kSize, parts.data()));
}

TEST_CASE("A step takes the rate that it is given") {
  // Each rule's step is its rate times something that does not depend on it.
  const std::string name = GENERATE(from_range(OptimizerNames()));
  CAPTURE(name);
  const auto optimizer = *MakeOptimizer(name, 0.5f);
  Flat own(1), half(1), gradient(1);
  gradient[0] = 3;
  Slots own_slots(1), half_slots(1);
  optimizer->Step(gradient, own, own_slots);
  optimizer->Step(0.25f, gradient, half, half_slots);
  REQUIRE(own[0] < 0);
  CHECK(half[0] == Approx(own[0] / 2));
}

TEST_CASE("The registry lists the optimizers, sorted and described") {
  CHECK(OptimizerNames() == std::vector<std::string>{"adagrad", "adam", "adamw",
                                                     "lamb", "lars", "momentum",
                                                     "nesterov", "sgd"});
  CHECK(ServerOptimizerNames() == std::vector<std::string>{"adagrad", "adam",
                                                           "momentum",
                                                           "nesterov", "sgd"});
  for (const std::string& name : OptimizerNames()) {
    const OptimizerEntry& entry = *Registry<OptimizerEntry>::Get().Find(name);
    CHECK(entry.equation.find("lr*") != std::string::npos);
    CHECK_FALSE(entry.source.empty());
    const auto made = MakeOptimizer(name, 0.25f);
    REQUIRE(made.ok());
    CHECK((*made)->lr() == 0.25f);
    CHECK((*made)->is_plain_sgd() == (name == "sgd"));
  }
}

TEST_CASE("An unknown optimizer is reported with the nearest spelling") {
  const absl::Status status = MakeOptimizer("adaam", 0.1f).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()),
             Catch::Contains("optimizer \"adaam\"") &&
                 Catch::Contains("nesterov") &&
                 Catch::Contains("did you mean \"adam\""));
}

TEST_CASE("A learning rate must be a number above 0") {
  for (float lr :
       {0.0f, -0.1f, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    const absl::Status status = MakeOptimizer("sgd", lr).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()), Catch::Contains("above 0"));
  }
}

}  // namespace
}  // namespace monsoon
