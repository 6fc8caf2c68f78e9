// SPDX-License-Identifier: Apache-2.0
// Convolutions of a GPU against plain loops and central differences, over odd
// shapes and all orders of channels.
#include <catch2/catch.hpp>
#include <cmath>
#include <utility>
#include <vector>

#include "models/kernels/conv_transpose2d.h"
#include "tests/cuda/convolution_check.h"
#include "tests/models/conv_cases.h"
#include "tests/models/convolution_loops.h"
#include "tests/models/numbers.h"

namespace monsoon {
namespace {

using Spec = Conv2dKernel::Spec;

Spec Square(int64_t batch, const Shape& in, int64_t block, int64_t channels,
            int64_t kernel, int64_t stride, int64_t padding,
            int64_t dilation = 1) {
  const auto extent = [&](int64_t size) {
    return (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
  };
  return {.batch = batch,
          .in = in,
          .out = {channels, extent(in.height), extent(in.width)},
          .block = block,
          .kernel = kernel,
          .stride = stride,
          .padding = padding,
          .dilation = dilation};
}

// cuDNN rounds the sums, which are y less the bias of at most 1, what is
// written is rounded again; and it rounds all gradients but the bias's.
constexpr Bf16Errors kToBf16{.y = {2, 1}, .dx = {1}, .dw = {1}};
constexpr Bf16Errors kToFloat{.y = {1, 1}, .dx = {1}, .dw = {1}};

// In float32, from bfloat16 to that, and in bfloat16.
void CheckTypes(LayerCase test) {
  CheckLayer(test);
  test.input_type = DataType::kBf16;
  CheckBf16Layer(test, kToFloat);
  test.output_type = DataType::kBf16;
  CheckBf16Layer(test, kToBf16);
}

void CheckTypes(std::vector<LayerCase> cases) {
  for (LayerCase& test : cases) CheckTypes(std::move(test));
}

TEST_CASE("A GPU's convolution on the bench of layers", "[cuda]") {
  CheckTypes(ConvCases());
  CheckTypes(ConvCase("channels inside", 2, {24, 3, 4}, 24, {.channels = 7}));
  CheckTypes(
      ConvCase("of one pixel", 3, {17, 1, 1}, 1, {.channels = 3, .kernel = 1}));
}

TEST_CASE("A GPU's transposed convolution on the bench of layers", "[cuda]") {
  CheckTypes(TransposeCases());
  CheckTypes(TransposeCase("in smaller blocks", 2, {16, 3, 2}, 8,
                           {.channels = 3, .kernel = 3, .padding = 1}));
}

void CheckAllTypes(const Spec& spec) {
  CheckConvolution(TestDevice(), spec);
  if (spec.precision == Precision::kBf16) {
    CheckBf16Convolution(TestDevice(), spec);
  }
}

TEST_CASE("A GPU's convolution of odd shapes, in every order of channels",
          "[cuda]") {
  const Precision precision =
      GENERATE(Precision::kFp32, Precision::kTf32, Precision::kBf16);
  for (Spec spec : {Square(1, {1, 1, 1}, 1, 1, 1, 1, 0),
                    Square(3, {1, 7, 17}, 1, 31, 3, 1, 1),
                    Square(7, {3, 7, 3}, 1, 17, 3, 2, 1),
                    Square(3, {3, 7, 3}, 3, 17, 3, 2, 1),
                    Square(2, {17, 3, 7}, 1, 3, 1, 1, 0),
                    Square(2, {17, 7, 3}, 17, 1, 3, 3, 2),
                    Square(1, {31, 3, 3}, 31, 7, 3, 1, 2),
                    Square(2, {24, 7, 5}, 8, 16, 3, 1, 0),
                    Square(2, {24, 7, 5}, 24, 16, 5, 2, 3)}) {
    spec.precision = precision;
    CheckAllTypes(spec);
    spec.input_gradient = false;
    CheckAllTypes(spec);
  }
}

TEST_CASE("A GPU's convolution in groups and dilated", "[cuda]") {
  const Precision precision =
      GENERATE(Precision::kFp32, Precision::kTf32, Precision::kBf16);
  for (const int64_t dilation : {1, 2}) {
    for (const int64_t groups : {1, 2, 4, 8}) {
      for (const int64_t stride : {1, 3}) {
        Spec spec = Square(2, {8, 13, 7}, groups == 2 ? 8 : 1, 16, 3, stride, 1,
                           dilation);
        spec.groups = groups;
        spec.relu = true;
        spec.precision = precision;
        CheckAllTypes(spec);
      }
    }
  }
}

TEST_CASE("A GPU's convolution with ReLU and pooling", "[cuda]") {
  const Precision precision =
      GENERATE(Precision::kFp32, Precision::kTf32, Precision::kBf16);
  for (const int64_t channels : {1, 7, 16}) {
    for (const bool relu : {false, true}) {
      // 11 and 8 places a side: pools of 2 and 3 drop edges.
      for (const int64_t pool : {1, 2, 3, 8}) {
        Spec spec =
            Square(3, {channels, 13, 10}, channels == 16 ? 8 : 1, 5, 3, 1, 0);
        spec.relu = relu;
        spec.pool = pool;
        spec.precision = precision;
        CheckAllTypes(spec);
      }
    }
  }
}

TEST_CASE("A bias that more than one part sums up", "[cuda]") {
  // 2 * 100 * 90 numbers a channel are 1000 parts of 18.
  Spec spec = Square(2, {1, 100, 90}, 1, 3, 1, 1, 0);
  CheckConvolution(TestDevice(), spec);
  spec.precision = Precision::kBf16;
  CheckBf16Convolution(TestDevice(), spec);
}

TEST_CASE("The first of equal numbers wins a window on a GPU", "[cuda]") {
  Spec spec = Square(1, {2, 5, 4}, 1, 3, 1, 1, 0);
  spec.pool = 2;
  const Device device = TestDevice();
  const auto kernel = *MakeKernel<Conv2dKernel>(device, spec);
  // No weights: every sum is the bias, 0.
  const Flat x = OnDevice(device, Draw(spec.in.size(), 1)),
             w(6, device.memory()), b(3, device.memory());
  Flat y(spec.pooled().size(), device.memory()), dw(6, device.memory()),
      db(3, device.memory()), dx(x.size(), device.memory());
  Flat ones(y.size());
  for (float& one : ones.span()) one = 1;
  Flat dy = OnDevice(device, ones);
  kernel->Forward(x.data(), w.data(), b.data(), y.data());
  kernel->Backward(x.data(), y.data(), w.data(), dy.data(), dx.data(),
                   {{dw}, 0}, {{db}, 0});
  const Flat got = dw.ToHost(), in = x.ToHost();
  for (int64_t i = 0; i < 6; ++i) {
    const int64_t plane = i % 2 * 20;
    // Places (0, 0), (0, 2), (2, 0) and (2, 2) of rows of 4.
    const float sum =
        in[plane] + in[plane + 2] + in[plane + 8] + in[plane + 10];
    CHECK(got[i] == Approx(sum).margin(1e-6));
  }
}

// A transposed convolution's forward and backward, of numbers that bfloat16
// has. The bias is 0.
struct Transposed {
  Transposed(const LayerCase& test, const ConvTranspose2dOptions& k,
             Precision precision)
      : in(test.in),
        out(*test.layer->OutputShape({test.in})),
        block(test.block),
        weights(in.channels * out.channels * k.kernel * k.kernel),
        x(Draw(test.batch * in.size(), 1, Precision::kBf16)),
        dy(Draw(test.batch * out.size(), 2, Precision::kBf16)),
        p(weights + out.channels) {
    p.Slice(0, weights).CopyFrom(Draw(weights, 3, Precision::kBf16));
    const auto kernel = *MakeKernel<ConvTranspose2dKernel>(
        TestDevice(), {.batch = test.batch,
                       .in = in,
                       .out = out,
                       .block = block,
                       .kernel = k.kernel,
                       .stride = k.stride,
                       .padding = k.padding,
                       .precision = precision});
    out_block = kernel->output_block();
    const auto there = [](const Flat& flat) {
      return OnDevice(TestDevice(), flat);
    };
    const Flat there_x = there(x), there_p = there(p), there_dy = there(dy);
    Flat there_y = there(NaNs(dy.size())), there_dx = there(NaNs(x.size())),
         there_dw = there(NaNs(weights)), db = there(NaNs(out.channels));
    kernel->Forward(there_x.data(), there_p.data(), there_p.data() + weights,
                    there_y.data());
    kernel->Backward(there_x.data(), there_y.data(), there_p.data(),
                     there_dy.data(), there_dx.data(), {{there_dw}, 0},
                     {{db}, 0});
    y = there_y.ToHost();
    dx = there_dx.ToHost();
    dw = there_dw.ToHost();
  }

  Shape in, out;
  int64_t block, out_block, weights;
  Flat x, dy, p;  // p: weights and bias
  Flat y, dx, dw;
};

void CheckTransposedValues(const Transposed& t, const LayerCase& test,
                           double error) {
  const At x = [&](int64_t n, int64_t c, int64_t h, int64_t w) {
    return t.x[PlaceOf(t.in, t.block, n, c, h, w)];
  };
  for (int64_t i = 0; i < t.y.size(); ++i) {
    const int64_t w = i % t.out.width, h = i / t.out.width % t.out.height,
                  c = i / t.out.width / t.out.height % t.out.channels,
                  n = i / t.out.size();
    const double expected = test.reference(x, t.in, t.p, n, c, h, w);
    const double found = t.y[PlaceOf(t.out, t.out_block, n, c, h, w)];
    CHECK(std::abs(found - expected) <= error * std::abs(expected) + 1e-6);
  }
}

// The sum of a[i] b[i], whose magnitudes are added to `magnitude`.
double Product(const Flat& a, const Flat& b, double& magnitude) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    sum += double{a[i]} * b[i];
    magnitude += std::abs(double{a[i]} * b[i]);
  }
  return sum;
}

// What gradients are for: dy . y = dx . x = dw . w, as y is linear in each of x
// and w.
void CheckTransposedGradients(const Transposed& t, double error) {
  double magnitude = 1;
  const double expected = Product(t.dy, t.y, magnitude);
  const double by_x = Product(t.dx, t.x, magnitude);
  const double by_w = Product(t.dw, t.p.Slice(0, t.weights), magnitude);
  CHECK(std::abs(by_x - expected) <= error * magnitude);
  CHECK(std::abs(by_w - expected) <= error * magnitude);
}

TEST_CASE("A GPU's transposed convolution in every precision", "[cuda]") {
  const Precision precision =
      GENERATE(Precision::kFp32, Precision::kTf32, Precision::kBf16);
  const auto check = [&](int64_t batch, Shape in, int64_t block,
                         ConvTranspose2dOptions k) {
    const LayerCase test = TransposeCase(in.ToString(), batch, in, block, k);
    INFO(test.name);
    const Transposed transposed(test, k, precision);
    // What cuDNN writes in bfloat16 is rounded by 2^-8 of itself at most, and
    // so is a sum of it by that part of the sum of magnitudes.
    const double error = precision == Precision::kBf16 ? 1.0 / 256 : 2e-5;
    CheckTransposedValues(transposed, test, error);
    CheckTransposedGradients(transposed, error);
  };
  check(1, {1, 1, 1}, 1, {.kernel = 1, .stride = 1});
  check(3, {3, 3, 7}, 1, {.channels = 5});
  check(2, {16, 3, 4}, 8, {.channels = 8});
  check(1, {17, 3, 1}, 17, {.channels = 31, .kernel = 3, .stride = 1});
  check(2, {8, 3, 7}, 8,
        {.channels = 3, .kernel = 3, .padding = 1, .output_padding = 1});
}

}  // namespace
}  // namespace monsoon
