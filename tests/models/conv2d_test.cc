// SPDX-License-Identifier: Apache-2.0
// Every way of convolving against plain loops in double precision, over odd
// shapes; what is to be overwritten holds NaNs before.
#include <algorithm>
#include <catch2/catch.hpp>

#include "models/kernels/cpu/conv2d_ways.h"
#include "tests/models/convolution_loops.h"
#include "tests/models/numbers.h"

namespace monsoon {
namespace {

using Spec = Conv2dKernel::Spec;

void Check(MadeConv2d (*make)(const Spec&), const Spec& spec,
           double tolerance) {
  INFO("batch " << spec.batch << ", " << spec.in.ToString() << " to "
                << spec.out.ToString() << ", block " << spec.block
                << ", padding " << spec.padding << ", relu " << spec.relu
                << ", pool " << spec.pool);
  auto kernel = make(spec);
  REQUIRE(kernel.ok());
  Convolution c(spec);
  c.Expect((*kernel)->output_block());
  Flat y = NaNs(c.dy.size()), dw = NaNs(c.w.size()), db = NaNs(c.b.size());
  Flat dx = NaNs(c.x.size()), dy = c.dy.Clone();
  (*kernel)->Forward(c.x.data(), c.w.data(), c.b.data(), y.data());
  (*kernel)->Backward(c.x.data(), y.data(), c.w.data(), dy.data(),
                      spec.input_gradient ? dx.data() : nullptr, {{dw}, 0},
                      {{db}, 0});
  CHECK(Error(y, c.y) < tolerance);
  CHECK(Error(dw, c.dw) < tolerance);
  CHECK(Error(db, c.db) < tolerance);
  if (spec.input_gradient) CHECK(Error(dx, c.dx) < tolerance);
}

Spec Square3x3(int64_t batch, const Shape& in, int64_t channels,
               int64_t padding) {
  return {.batch = batch,
          .in = in,
          .out = {channels, in.height + 2 * padding - 2,
                  in.width + 2 * padding - 2},
          .block = in.channels % 8 == 0 ? 8 : 1,
          .kernel = 3,
          .stride = 1,
          .padding = padding};
}

// F(4x4, 3x3) rounds more than plain sums do: its matrices have numbers up to
// 8, squared by going both ways.
constexpr double kWinogradError = 2e-5;

TEST_CASE("Winograd's convolution computes what plain loops compute",
          "[models]") {
  for (const int64_t padding : {0, 1, 2}) {
    for (const bool relu : {false, true}) {
      for (const int64_t pool : {1, 2}) {
        for (const Shape& in :
             {Shape{8, 3, 3}, Shape{16, 7, 17}, Shape{24, 31, 5},
              Shape{8, 33, 6}, Shape{32, 10, 10}}) {
          Spec spec = Square3x3(3, in, 24, padding);
          spec.relu = relu;
          spec.pool = pool;
          if (spec.pooled().size() == 0) continue;
          REQUIRE(FitsWinograd(spec));
          Check(&MakeWinogradConv2d, spec, kWinogradError);
        }
      }
    }
  }
  Spec wide = Square3x3(1, {16, 9, 9}, 8, 1);
  wide.block = 16;
  Check(&MakeWinogradConv2d, wide, kWinogradError);
  Spec first = Square3x3(17, {8, 6, 6}, 40, 0);
  first.input_gradient = false;
  Check(&MakeWinogradConv2d, first, kWinogradError);
}

TEST_CASE("The narrow convolution computes what plain loops compute",
          "[models]") {
  for (const int64_t channels : {1, 2}) {
    for (const int64_t stride : {1, 2}) {
      for (const bool relu : {false, true}) {
        Spec spec = Square3x3(3, {channels, 17, 7}, 16, 0);
        spec.stride = stride;
        spec.out.height = (17 - 3) / stride + 1;
        spec.out.width = (7 - 3) / stride + 1;
        spec.relu = relu;
        spec.input_gradient = false;
        REQUIRE(FitsNarrow(spec));
        Check(&MakeNarrowConv2d, spec, 2e-6);
      }
    }
  }
}

TEST_CASE("The direct convolution computes what plain loops compute",
          "[models]") {
  const Precision precision = GENERATE(Precision::kFp32, Precision::kBf16);
  if (!CheckPrecision(precision, Device()).ok()) {
    Spec spec = Square3x3(1, {8, 9, 9}, 8, 0);
    spec.precision = precision;
    CHECK_FALSE(MakeDirectConv2d(spec).ok());
    return;
  }
  for (const int64_t dilation : {1, 2}) {
    for (const int64_t groups : {1, 2, 4}) {
      for (const int64_t stride : {1, 3}) {
        const int64_t window = 2 * dilation + 1;
        const Spec spec = {.batch = 2,
                           .in = {8, 13, 7},
                           .out = {12, (13 + 2 - window) / stride + 1,
                                   (7 + 2 - window) / stride + 1},
                           .block = 1,
                           .kernel = 3,
                           .stride = stride,
                           .padding = 1,
                           .dilation = dilation,
                           .groups = groups,
                           .relu = true,
                           .precision = precision};
        Check(&MakeDirectConv2d, spec, 2e-6);
      }
    }
  }
}

TEST_CASE("A convolution that cannot pool by itself is pooled behind",
          "[models]") {
  for (const int64_t channels : {1, 12}) {
    for (const bool relu : {false, true}) {
      for (const int64_t pool : {2, 3}) {
        Spec spec = Square3x3(2, {channels, 13, 9}, 16, 0);
        spec.relu = relu;
        spec.pool = pool;
        spec.input_gradient = channels > 1;
        Check(
            [](const Spec& s) { return MakeKernel<Conv2dKernel>(Device(), s); },
            spec, 2e-6);
      }
    }
  }
}

TEST_CASE("The first of equal numbers wins a window", "[models]") {
  Spec spec = Square3x3(1, {8, 10, 10}, 8, 0);
  spec.pool = 2;
  spec.input_gradient = true;
  const auto kernel = *MakeWinogradConv2d(spec);
  // No weights: every sum is the bias.
  const Flat x = Draw(spec.in.size(), 1);
  const Flat w(8 * 8 * 9);
  Flat b = NaNs(8), y = NaNs(spec.pooled().size()), dy = y.Clone();
  std::fill(b.span().begin(), b.span().end(), 1.0f);
  std::fill(dy.span().begin(), dy.span().end(), 1.0f);
  Flat dx = NaNs(x.size()), dw = NaNs(w.size()), db = NaNs(8);
  kernel->Forward(x.data(), w.data(), b.data(), y.data());
  kernel->Backward(x.data(), y.data(), w.data(), dy.data(), dx.data(),
                   {{dw}, 0}, {{db}, 0});
  // The gradient of a tap is the sum of x over the windows' first places.
  for (int64_t c = 0; c < 8; ++c) {
    double sum = 0;
    for (int64_t row = 0; row < 8; row += 2) {
      for (int64_t column = 0; column < 8; column += 2) {
        sum += double{x[PlaceOf(spec.in, 8, 0, c, row, column)]};
      }
    }
    CHECK(double{dw[c * 9]} == Approx(sum).margin(1e-4));
  }
}

TEST_CASE("Winograd's convolution has not enough to do for other windows",
          "[models]") {
  Spec spec = Square3x3(1, {8, 9, 9}, 8, 0);
  CHECK(FitsWinograd(spec));
  spec.dilation = 2;
  CHECK(!FitsWinograd(spec));
  spec = Square3x3(1, {8, 9, 9}, 12, 0);
  CHECK(!FitsWinograd(spec));
  spec = Square3x3(1, {6, 9, 9}, 8, 0);
  CHECK(!FitsWinograd(spec));
  spec = Square3x3(1, {8, 9, 9}, 8, 0);
  spec.pool = 3;
  CHECK(!FitsWinograd(spec));
}

}  // namespace
}  // namespace monsoon
