// SPDX-License-Identifier: Apache-2.0
// Whether the deeper networks learn what they are for, from pictures drawn
// here, and tell it of pictures that they have not seen.
#include <omp.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <utility>

#include "base/random.h"
#include "models/model.h"

namespace monsoon {
namespace {

constexpr Shape kPicture{1, 16, 16};
constexpr int kBatch = 32;

float* PictureOf(Model& model, int example) {
  return model.input() + example * kPicture.size();
}

// Stripes of a random phase under noise; the class is their direction.
void DrawStripes(Model& model, int example, Random& random) {
  const auto direction = static_cast<int32_t>(random.Below(4));
  const auto phase = static_cast<int64_t>(random.Below(4));
  model.labels()[example] = direction;
  for (int64_t i = 0; i < kPicture.size(); ++i) {
    const int64_t row = i / kPicture.width, column = i % kPicture.width;
    const int64_t along[] = {row, column, row + column, row - column + 16};
    const float stripe = (along[direction] + phase) % 4 < 2 ? 0.7f : 0.3f;
    PictureOf(model, example)[i] = stripe + random.Uniform(-0.3f, 0.3f);
  }
}

// A bright and a dark rectangle before noise as strong as they are; a pixel's
// class is the rectangle that it belongs to, 0 for none.
void DrawRectangles(Model& model, int example, Random& random) {
  float* picture = PictureOf(model, example);
  int32_t* labels = model.labels() + example * kPicture.size();
  for (int64_t i = 0; i < kPicture.size(); ++i) {
    picture[i] = 0.5f + random.Uniform(-0.3f, 0.3f);
    labels[i] = 0;
  }
  for (int32_t label : {1, 2}) {
    const auto top = static_cast<int64_t>(random.Below(10));
    const auto left = static_cast<int64_t>(random.Below(10));
    for (int64_t k = 0; k < 36; ++k) {
      const int64_t i = (top + k / 6) * kPicture.width + left + k % 6;
      if (labels[i] != 0) continue;
      labels[i] = label;
      picture[i] += label == 1 ? 0.3f : -0.3f;
    }
  }
}

using Draw = void (*)(Model&, int, Random&);

// The share of correct labels on fresh pictures after `steps` of plain SGD.
double Learn(absl::string_view name, int classes, Draw draw, int steps,
             float rate) {
  omp_set_num_threads(1);
  auto made = Model::Build(name, kPicture, classes, {kBatch});
  INFO(made.status());
  REQUIRE(made.ok());
  Model& model = **made;
  Flat x(model.layout().size());
  model.Initialize(1, x);
  Random random({2});
  const auto fill = [&] {
    for (int i = 0; i < kBatch; ++i) draw(model, i, random);
  };
  for (int step = 0; step < steps; ++step) {
    fill();
    model.Step(kBatch, x, {x, -rate, 1});
  }
  int64_t correct = 0;
  constexpr int kRounds = 4;
  for (int round = 0; round < kRounds; ++round) {
    fill();
    correct += model.Evaluate(kBatch, x).correct;
  }
  return double(correct) /
         double(kRounds * kBatch * model.labels_per_example());
}

TEST_CASE("resnet20 learns the direction of stripes", "[models]") {
  // By chance 0.25.
  CHECK(Learn("resnet20", 4, &DrawStripes, 60, 0.1f) > 0.9);
}

TEST_CASE("unet learns to which rectangle a pixel belongs", "[models]") {
  // By saying 0 always 0.74, from the pixel alone about 0.83.
  CHECK(Learn("unet", 3, &DrawRectangles, 300, 0.08f) > 0.92);
}

}  // namespace
}  // namespace monsoon
