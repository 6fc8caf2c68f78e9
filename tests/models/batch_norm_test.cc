// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "models/layers/layers.h"
#include "tests/models/layer_bench.h"
#include "tests/models/layer_cases.h"

namespace monsoon {
namespace {

TEST_CASE("Batch normalisation has the values and gradients of its equation",
          "[models]") {
  for (const LayerCase& test : BatchNormCases()) CheckLayer(test);
}

TEST_CASE("The running statistics of batch normalisation move by momentum",
          "[models]") {
  for (const int64_t block : {1, 8}) {
    const Shape shape{8, 3, 5};
    LayerBench bench(BatchNormCase("running", 3, shape, block));
    Fill(bench);
    // running_mean and running_var follow weight and bias.
    bench.w[16] = 2;
    bench.w[24] = 3;
    const Flat before = bench.w.Clone();
    bench.Loss();
    const Moments m = Measure([&](int64_t n, int64_t c, int64_t h,
                                  int64_t w) { return bench.x_at(n, c, h, w); },
                              3, shape, 0);
    CHECK(bench.w[16] == Approx(0.9 * 2 + 0.1 * m.mean));
    CHECK(bench.w[24] == Approx(0.9 * 3 + 0.1 * m.variance * 45 / 44));
    // Only they.
    CHECK(bench.w.Slice(0, 16).span() == before.Slice(0, 16).span());
  }
}

TEST_CASE(
    "Batch normalisation evaluates with the running statistics and leaves "
    "them alone",
    "[models]") {
  for (const int64_t block : {1, 8}) {
    LayerBench bench(BatchNormCase("evaluation", 2, {8, 3, 5}, block));
    Fill(bench);
    for (int64_t c = 0; c < 8; ++c) bench.w[24 + c] = float(c) + 0.25f;
    const Flat before = bench.w.Clone();
    bench.training = false;
    bench.Loss();
    CHECK(bench.w.span() == before.span());
    double worst = 0;
    for (int64_t n = 0; n < 2; ++n) {
      for (int64_t c = 0; c < 8; ++c) {
        for (int64_t i = 0; i < 15; ++i) {
          const double x = bench.x_at(n, c, i / 5, i % 5);
          const double expected = before[c] * (x - before[16 + c]) /
                                      std::sqrt(double(before[24 + c]) + 1e-5) +
                                  before[8 + c];
          worst = std::max(worst,
                           std::abs(bench.y_at(n, c, i / 5, i % 5) - expected));
        }
      }
    }
    CHECK(worst < 1e-5);
  }
}

TEST_CASE("A large mean does not drown the variance", "[models]") {
  LayerBench bench(BatchNormCase("offset", 4, {1, 33, 31}, 1));
  Random random({1});
  // Multiples of 1/16, exact at this size: variance 1/12.
  for (float& v : bench.x.span()) {
    v = 1e5f + std::floor(random.Uniform(0, 16)) / 16;
  }
  bench.w[0] = 1;
  bench.Loss();
  const Moments m = Measure([&](int64_t n, int64_t c, int64_t h,
                                int64_t w) { return bench.x_at(n, c, h, w); },
                            4, {1, 33, 31}, 0);
  double worst = 0;
  for (int64_t i = 0; i < bench.x.size(); ++i) {
    const double expected =
        (bench.x[i] - m.mean) / std::sqrt(m.variance + 1e-5);
    worst = std::max(worst, std::abs(bench.y[i] - expected));
  }
  // The mean is rounded to 1/128 of a float32 at 1e5, over a deviation of 0.29.
  CHECK(worst < 0.06);
}

TEST_CASE("A channel without variance becomes its shift", "[models]") {
  const float tiny = std::numeric_limits<float>::denorm_min();
  for (const float value : {0.0f, 3.0f, tiny, -1e30f}) {
    LayerBench bench(BatchNormCase("constant", 2, {8, 2, 2}, 8));
    Fill(bench);
    for (float& v : bench.x.span()) v = value;
    bench.Loss();
    CHECK(bench.y[0] == bench.w[8]);
    bench.Backward({bench.dw});
    CHECK(AllFinite(bench.dw.span()));
    CHECK(AllFinite(bench.dx.span()));
  }
}

TEST_CASE("A single value has variance 0, running as well", "[models]") {
  LayerBench bench(BatchNormCase("single", 1, {2, 1, 1}, 1));
  Fill(bench);
  bench.w[6] = 1;
  bench.Loss();
  CHECK(bench.y[1] == bench.w[3]);
  CHECK(bench.w[6] == Approx(0.9));
  bench.Backward({bench.dw});
  CHECK(bench.dx[0] == 0);
}

TEST_CASE("Batch normalisation starts as PyTorch's does", "[models]") {
  const auto parameters = BatchNorm()->Parameters({{5, 3, 3}});
  REQUIRE(parameters.size() == 4);
  const std::vector<std::string> names = {"weight", "bias", "running_mean",
                                          "running_var"};
  const std::vector<float> starts = {1, 0, 0, 1};
  for (size_t i = 0; i < 4; ++i) {
    CHECK(parameters[i].name == names[i]);
    CHECK(parameters[i].shape == std::vector<int64_t>{5});
    CHECK(parameters[i].initializer.value == starts[i]);
    CHECK((parameters[i].kind ==
           (i < 2 ? TensorKind::kNoDecay : TensorKind::kStatistic)));
  }
}

}  // namespace
}  // namespace monsoon
