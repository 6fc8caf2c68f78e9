// SPDX-License-Identifier: Apache-2.0
#include "models/initializer.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <vector>

#include "models/layers/layers.h"

namespace monsoon {
namespace {

const std::vector<int64_t> kShape = {50, 30, 3, 3};  // fans 270 and 450

Flat Draw(const Initializer& initializer, uint64_t seed = 1) {
  Flat values(50 * 30 * 9);
  Random random({seed});
  initializer.Fill(kShape, random, values);
  return values;
}

double Deviation(const Flat& values) {
  return Norm(values) / std::sqrt(double(values.size()));
}

TEST_CASE("A constant is everywhere", "[models]") {
  for (const float value : {0.0f, 1.0f, -2.5f}) {
    const Flat values = Draw(Constant(value));
    CHECK(std::count(values.span().begin(), values.span().end(), value) ==
          values.size());
  }
}

TEST_CASE("He and Xavier have their variances", "[models]") {
  struct Case {
    Initializer initializer;
    double deviation;
    bool uniform;
  };
  const double he = std::sqrt(2.0 / 270);
  const double xavier = std::sqrt(2.0 / (270 + 450));
  for (const Case& test : {Case{HeUniform(), he, true},
                           {HeNormal(), he, false},
                           {XavierUniform(), xavier, true},
                           {XavierNormal(), xavier, false}}) {
    const Flat values = Draw(test.initializer);
    // Of 13,500 draws it strays by 0.6 % (one sigma), the mean by 0.9 %.
    CHECK(Deviation(values) == Approx(test.deviation).epsilon(0.025));
    const double mean =
        std::accumulate(values.span().begin(), values.span().end(), 0.0) /
        double(values.size());
    CHECK(std::abs(mean) < 0.04 * test.deviation);
    int64_t beyond = 0, far = 0;
    const double bound = test.deviation * std::sqrt(3.0);
    for (const float v : values.span()) {
      if (std::abs(v) > bound * 1.000001) ++beyond;
      if (std::abs(v) > 2 * test.deviation) ++far;
    }
    // 8.3 % of a normal distribution lie beyond sqrt(3), 4.6 % beyond 2 sigma.
    CHECK(double(beyond) / double(values.size()) ==
          Approx(test.uniform ? 0 : 0.0833).margin(0.012));
    CHECK(double(far) / double(values.size()) ==
          Approx(test.uniform ? 0 : 0.0455).margin(0.009));
  }
}

TEST_CASE("Fans that are given win over the shape", "[models]") {
  Initializer initializer = HeNormal();
  initializer.fan_in = 20000;
  CHECK(Deviation(Draw(initializer)) == Approx(0.01).epsilon(0.025));
  initializer = XavierUniform();
  initializer.fan_in = 15000;
  initializer.fan_out = 5000;
  CHECK(Deviation(Draw(initializer)) == Approx(0.01).epsilon(0.025));
}

TEST_CASE("Draws depend on the seed alone", "[models]") {
  for (const Initializer& initializer : {HeUniform(), HeNormal()}) {
    CHECK(Draw(initializer).span() == Draw(initializer).span());
    CHECK(Draw(initializer).span() != Draw(initializer, 2).span());
  }
}

TEST_CASE("Layers hand on the initialiser that they are told", "[models]") {
  using Kind = Initializer::Kind;
  const Shape in{4, 8, 8};
  CHECK((Dense({.units = 3})->Parameters({in})[0].initializer.kind ==
         Kind::kHeUniform));
  CHECK((Dense({.units = 3, .weight = XavierNormal()})
             ->Parameters({in})[0]
             .initializer.kind == Kind::kXavierNormal));
  CHECK((Conv2d({.weight = HeNormal()})->Parameters({in})[0].initializer.kind ==
         Kind::kHeNormal));
  const Initializer transposed =
      ConvTranspose2d({.channels = 6})->Parameters({in})[0].initializer;
  CHECK((transposed.kind == Kind::kHeUniform));
  CHECK(transposed.fan_in == 4);    // 4 channels, 2x2 over strides of 2x2
  CHECK(transposed.fan_out == 24);  // 6 channels, 2x2
}

}  // namespace
}  // namespace monsoon
