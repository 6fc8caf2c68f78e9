// SPDX-License-Identifier: Apache-2.0
#include "trainers/schedule.h"

#include <catch2/catch.hpp>
#include <limits>

namespace monsoon {
namespace {

using Shape = Schedule::Shape;

TEST_CASE("A constant rate is the rate, bit for bit") {
  const Schedule schedule{.epochs = 3};
  for (double done : {0.0, 0.1, 1.0, 2.999, 3.0}) {
    CHECK(schedule.Factor(done) == 1.0f);
  }
}

TEST_CASE("A warmup grows in a straight line from one worker's share to all") {
  const Schedule schedule{.epochs = 10, .warmup = 4, .first = 0.25};
  CHECK(schedule.Factor(0) == 0.25f);
  CHECK(schedule.Factor(1) == 0.4375f);
  CHECK(schedule.Factor(2) == 0.625f);
  CHECK(schedule.Factor(4) == 1);
  CHECK(schedule.Factor(9) == 1);
  const Schedule half{.epochs = 10, .warmup = 0.5, .first = 0.5};
  CHECK(half.Factor(0.25) == 0.75f);
  CHECK(half.Factor(0.5) == 1);
}

TEST_CASE("Steps cut the rate every so many epochs, counted from the start") {
  const Schedule schedule{
      .shape = Shape::kStep, .epochs = 8, .step_epochs = 2, .decay = 0.5};
  CHECK(schedule.Factor(0) == 1);
  CHECK(schedule.Factor(1.99) == 1);
  CHECK(schedule.Factor(2) == 0.5f);
  CHECK(schedule.Factor(4) == 0.25f);
  CHECK(schedule.Factor(7.5) == 0.125f);
  // After a warmup the rate is where it would be without one.
  Schedule warm = schedule;
  warm.warmup = 3;
  warm.first = 0.5;
  CHECK(warm.Factor(0) == 0.5f);
  CHECK(warm.Factor(3) == 0.5f);
  CHECK(warm.Factor(4) == 0.25f);
}

TEST_CASE("A cosine falls by half a turn after the warmup") {
  const Schedule schedule{.shape = Shape::kCosine, .epochs = 4};
  CHECK(schedule.Factor(0) == 1);
  CHECK(schedule.Factor(1) == Approx(0.8535534));
  CHECK(schedule.Factor(2) == Approx(0.5));
  CHECK(schedule.Factor(3) == Approx(0.1464466));
  const Schedule warm{
      .shape = Shape::kCosine, .epochs = 5, .warmup = 1, .first = 0.5};
  CHECK(warm.Factor(0.5) == 0.75f);
  CHECK(warm.Factor(1) == 1);
  CHECK(warm.Factor(3) == Approx(0.5));
  const Schedule all{
      .shape = Shape::kCosine, .epochs = 2, .warmup = 2, .first = 0.5};
  CHECK(all.Factor(1) == 0.75f);
}

TEST_CASE("No factor is 0, however small") {
  const float least = std::numeric_limits<float>::min();
  const Schedule cosine{.shape = Shape::kCosine, .epochs = 4};
  CHECK(cosine.Factor(4) == least);
  const Schedule steps{
      .shape = Shape::kStep, .epochs = 4, .step_epochs = 0.01, .decay = 0.1};
  CHECK(steps.Factor(3.9) == least);
}

}  // namespace
}  // namespace monsoon
