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

namespace monsoon {
namespace {

LayerCase AddCase(std::string name, int64_t batch, Shape shape, int64_t block,
                  int64_t b_block) {
  LayerCase test{std::move(name),
                 Add(),
                 batch,
                 shape,
                 block,
                 0.5f,
                 [](const At& x, const Shape& s, const Flat&, int64_t n,
                    int64_t c, int64_t h, int64_t w) {
                   return x(n, c, h, w) + x(n, s.channels + c, h, w);
                 }};
  test.more = {{shape, b_block}};
  return test;
}

TEST_CASE("Add is the sum, whatever the orders of its inputs", "[models]") {
  CheckLayer(AddCase("single numbers", 1, {1, 1, 1}, 1, 1));
  CheckLayer(AddCase("plain", 3, {7, 3, 17}, 1, 1));
  CheckLayer(AddCase("blocks", 2, {16, 3, 7}, 8, 8));
  CheckLayer(AddCase("blocks and plain", 2, {16, 3, 7}, 8, 1));
  CheckLayer(AddCase("plain and blocks", 1, {32, 1, 31}, 1, 16));
}

TEST_CASE("Add refuses what has another shape", "[models]") {
  CHECK(Add()->OutputShape({{3, 4, 5}, {3, 5, 4}}).status().message() ==
        "cannot add 3x5x4 to 3x4x5; expected equal shapes");
}

LayerCase ConcatCase(std::string name, int64_t batch,
                     std::vector<LayerCase::Input> inputs) {
  LayerCase test{std::move(name),
                 Concat(),
                 batch,
                 inputs[0].shape,
                 inputs[0].block,
                 0.5f,
                 [](const At& x, const Shape&, const Flat&, int64_t n,
                    int64_t c, int64_t h, int64_t w) { return x(n, c, h, w); }};
  test.more.assign(inputs.begin() + 1, inputs.end());
  return test;
}

TEST_CASE("Concat puts channels behind channels", "[models]") {
  CheckLayer(ConcatCase("one input", 2, {{{3, 2, 3}, 1}}));
  CheckLayer(ConcatCase("plain", 3, {{{1, 3, 7}, 1}, {{3, 3, 7}, 1}}));
  CheckLayer(ConcatCase("blocks", 2, {{{16, 3, 2}, 8}, {{8, 3, 2}, 8}}));
  CheckLayer(ConcatCase("mixed", 2,
                        {{{8, 1, 7}, 8}, {{3, 1, 7}, 1}, {{16, 1, 7}, 16}}));
}

TEST_CASE("Concat refuses images of another size", "[models]") {
  CHECK(Concat()->OutputShape({{3, 4, 5}, {7, 4, 6}}).status().message() ==
        "cannot put channels of 7x4x6 behind those of 3x4x5; expected equal "
        "heights and widths");
}

LayerCase AverageCase(std::string name, int64_t batch, Shape in, int64_t block,
                      int64_t size) {
  return {std::move(name),
          size == 0 ? GlobalAveragePool() : AveragePool(size),
          batch,
          in,
          block,
          0.5f,
          [size](const At& x, const Shape& s, const Flat&, int64_t n, int64_t c,
                 int64_t h, int64_t w) {
            const int64_t rows = size == 0 ? s.height : size;
            const int64_t columns = size == 0 ? s.width : size;
            double sum = 0;
            for (int64_t i = 0; i < rows * columns; ++i) {
              sum += x(n, c, h * rows + i / columns, w * columns + i % columns);
            }
            return sum / double(rows * columns);
          }};
}

TEST_CASE("Average pooling is the mean of each window", "[models]") {
  CheckLayer(AverageCase("of 1", 1, {1, 1, 1}, 1, 1));
  CheckLayer(AverageCase("of 2", 3, {3, 4, 6}, 1, 2));
  CheckLayer(AverageCase("of 3 that drops edges", 2, {2, 7, 17}, 1, 3));
  CheckLayer(AverageCase("of blocks", 2, {16, 4, 7}, 8, 2));
  CheckLayer(AverageCase("of large blocks", 1, {16, 3, 3}, 16, 2));
  CheckLayer(AverageCase("of everything", 3, {7, 3, 31}, 1, 0));
  CheckLayer(AverageCase("of everything in blocks", 2, {24, 7, 5}, 8, 0));
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

LayerCase UpsampleCase(std::string name, int64_t batch, Shape in, int64_t block,
                       UpsampleOptions k) {
  return {std::move(name),
          Upsample(k),
          batch,
          in,
          block,
          0.5f,
          [k](const At& x, const Shape& s, const Flat&, int64_t n, int64_t c,
              int64_t h, int64_t w) {
            if (!k.bilinear) return x(n, c, h / k.scale, w / k.scale);
            const double row =
                std::max(0.0, (double(h) + 0.5) / double(k.scale) - 0.5);
            const double column =
                std::max(0.0, (double(w) + 0.5) / double(k.scale) - 0.5);
            double sum = 0;
            for (int64_t i = 0; i < s.height; ++i) {
              for (int64_t j = 0; j < s.width; ++j) {
                // Beyond the last pixel there is nothing to blend with.
                const double down =
                    std::min(row, double(s.height - 1)) - double(i);
                const double right =
                    std::min(column, double(s.width - 1)) - double(j);
                sum += std::max(0.0, 1 - std::abs(down)) *
                       std::max(0.0, 1 - std::abs(right)) * x(n, c, i, j);
              }
            }
            return sum;
          }};
}

TEST_CASE("Upsampling repeats or blends the pixels around", "[models]") {
  CheckLayer(UpsampleCase("nearest of one pixel", 1, {1, 1, 1}, 1, {3, false}));
  CheckLayer(UpsampleCase("nearest", 3, {3, 3, 7}, 1, {2, false}));
  CheckLayer(UpsampleCase("nearest in blocks", 2, {8, 3, 2}, 8, {3, false}));
  CheckLayer(UpsampleCase("bilinear of one pixel", 1, {1, 1, 1}, 1, {2, true}));
  CheckLayer(UpsampleCase("bilinear", 3, {3, 3, 7}, 1, {2, true}));
  CheckLayer(UpsampleCase("bilinear by 3", 2, {1, 7, 1}, 1, {3, true}));
  CheckLayer(UpsampleCase("bilinear in blocks", 2, {16, 2, 3}, 16, {2, true}));
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

LayerCase SoftmaxCase(std::string name, int64_t batch, Shape in,
                      int64_t block) {
  return {std::move(name), Softmax(), batch, in, block,
          // The grid's logits differ by 0.05 and more; truncation is about
          // difference^2 / 6.
          0.01f,
          [](const At& x, const Shape& s, const Flat&, int64_t n, int64_t c,
             int64_t h, int64_t w) {
            double sum = 0;
            for (int64_t k = 0; k < s.channels; ++k) {
              sum += std::exp(x(n, k, h, w) - x(n, c, h, w));
            }
            return 1 / sum;
          }};
}

TEST_CASE("Softmax is a distribution over the channels", "[models]") {
  CheckLayer(SoftmaxCase("of one", 1, {1, 1, 3}, 1));
  CheckLayer(SoftmaxCase("of a vector", 3, {7, 1, 1}, 1));
  CheckLayer(SoftmaxCase("of pixels", 2, {3, 3, 7}, 1));
  CheckLayer(SoftmaxCase("of blocks", 2, {16, 3, 1}, 8));
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
