// SPDX-License-Identifier: Apache-2.0
// The layers of deeper networks against plain loops and central differences.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "models/layers/layers.h"
#include "tests/models/conv_cases.h"
#include "tests/models/layer_bench.h"
#include "tests/models/layer_cases.h"

namespace monsoon {
namespace {

TEST_CASE("Add is the sum, whatever the orders of its inputs", "[models]") {
  for (const LayerCase& test : AddCases()) CheckLayer(test);
}

TEST_CASE("Add refuses what has another shape", "[models]") {
  CHECK(Add()->OutputShape({{3, 4, 5}, {3, 5, 4}}).status().message() ==
        "cannot add 3x5x4 to 3x4x5; expected equal shapes");
}

TEST_CASE("Concat puts channels behind channels", "[models]") {
  for (const LayerCase& test : ConcatCases()) CheckLayer(test);
}

TEST_CASE("Concat refuses images of another size", "[models]") {
  CHECK(Concat()->OutputShape({{3, 4, 5}, {7, 4, 6}}).status().message() ==
        "cannot put channels of 7x4x6 behind those of 3x4x5; expected equal "
        "heights and widths");
}

TEST_CASE("Average pooling is the mean of each window", "[models]") {
  for (const LayerCase& test : AverageCases()) CheckLayer(test);
}

TEST_CASE("The mean of an image is in plain order", "[models]") {
  LayerBench bench(AverageCase("blocks", 2, {16, 3, 3}, 8, 0));
  CHECK(bench.place.output.block == 1);
}

TEST_CASE("A window larger than the image is refused", "[models]") {
  CHECK(AveragePool(3)->OutputShape({{2, 5, 2}}).status().message() ==
        "a window of 3x3 does not fit into an input of 2x5x2; use larger "
        "images or another model");
}

TEST_CASE("Transposed convolution lays windows over each other", "[models]") {
  for (const LayerCase& test : TransposeCases()) CheckLayer(test);
}

TEST_CASE("Transposed convolution has PyTorch's sizes", "[models]") {
  const auto layer = ConvTranspose2d({.channels = 6,
                                      .kernel = 3,
                                      .stride = 2,
                                      .padding = 1,
                                      .output_padding = 1});
  CHECK(*layer->OutputShape({{4, 7, 16}}) == Shape{6, 14, 32});
  CHECK(layer->Parameters({{4, 7, 16}})[0].shape ==
        std::vector<int64_t>{4, 6, 3, 3});
  CHECK(ConvTranspose2d({.kernel = 1, .padding = 2})
            ->OutputShape({{1, 2, 2}})
            .status()
            .message() ==
        "padding 2 leaves nothing of an input of 1x2x2 under a window of 1x1; "
        "use larger images or another model");
}

TEST_CASE("Upsampling repeats or blends the pixels around", "[models]") {
  for (const LayerCase& test : UpsampleCases()) CheckLayer(test);
}

TEST_CASE("Bilinear upsampling gives the numbers of PyTorch", "[models]") {
  LayerBench bench(UpsampleCase("hand", 1, {1, 1, 3}, 1, {2, true}));
  bench.x[0] = 1;
  bench.x[1] = 5;
  bench.x[2] = -3;
  bench.Loss();
  const std::vector<float> row = {1, 2, 4, 3, -1, -3};
  for (int64_t i = 0; i < 12; ++i) CHECK(bench.y[i] == row[i % 6]);
}

TEST_CASE("Softmax is a distribution over the channels", "[models]") {
  for (const LayerCase& test : SoftmaxCases()) CheckLayer(test);
}

TEST_CASE("The layer softmax survives what overflows an exponential",
          "[models]") {
  LayerBench bench(SoftmaxCase("hard", 4, {3, 1, 1}, 1));
  const float tiny = std::numeric_limits<float>::denorm_min();
  const std::vector<float> logits = {-1e30f, 1e30f, 1e30f, 999, 1000, -1000,
                                     tiny,   -tiny, 0,     -5,  -5,   -5};
  std::copy(logits.begin(), logits.end(), bench.x.data());
  bench.Loss();
  const float e = std::exp(-1.0f);
  const std::vector<float> expected = {
      0,        0.5f,     0.5f,     e / (1 + e), 1 / (1 + e), 0,
      1.0f / 3, 1.0f / 3, 1.0f / 3, 1.0f / 3,    1.0f / 3,    1.0f / 3};
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(bench.y[int64_t(i)] == Approx(expected[i]).margin(1e-7));
  }
}

TEST_CASE("A convolution without a bias is one whose bias is 0", "[models]") {
  const LayerCase with{
      "with", Conv2d({.channels = 8, .padding = 1}), 2, {3, 5, 4}, 1, 0.5f,
      nullptr};
  const LayerCase without{
      "without", Conv2d({.channels = 8, .padding = 1, .bias = false}),
      2,         {3, 5, 4},
      1,         0.5f,
      nullptr};
  LayerBench a(with), b(without);
  REQUIRE(a.w.size() == b.w.size() + 8);
  for (LayerBench* bench : {&a, &b}) {
    FillUniform(bench->x, 1);
    FillUniform(bench->dy, 3);
  }
  FillUniform(b.w, 2);
  a.w.Slice(0, b.w.size()).CopyFrom(b.w);
  CHECK(a.Loss() == b.Loss());
  a.Backward({a.dw});
  b.Backward({b.dw});
  CHECK(a.dw.Slice(0, b.w.size()).span() == b.dw.span());
  CHECK(a.dx.span() == b.dx.span());
}

}  // namespace
}  // namespace monsoon
