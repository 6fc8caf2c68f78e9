// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/convolution_check.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/models/convolution_loops.h"

namespace monsoon {
namespace {

// As bfloat16 has it: eight bits, to nearest, ties to even.
double InBf16(double value) {
  int exponent;
  std::frexp(value, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(value, 8 - exponent)),
                    exponent - 8);
}

// cuDNN may take Winograd's products, see kWinogradError in
// tests/models/conv2d_test.cc; TensorFloat-32 instead of float32 would show:
// its rounding is 2^-11, 25 times as much.
constexpr double kError = 2e-5;

// Of gradients that are written in bfloat16: each is rounded by 2^-8 of itself
// at most.
double GradientError(Precision precision) {
  return precision == Precision::kBf16 ? 1.0 / 256 + kError : kError;
}

}  // namespace

Flat OnDevice(const Device& device, const Flat& values) {
  Flat copy(values.size(), device.memory());
  copy.CopyFrom(values);
  return copy;
}

void CheckConvolution(const Device& device, const Conv2dKernel::Spec& spec) {
  INFO("batch " << spec.batch << ", " << spec.in.ToString() << " to "
                << spec.out.ToString() << ", block " << spec.block
                << ", window " << spec.kernel << ", stride " << spec.stride
                << ", padding " << spec.padding << ", dilation "
                << spec.dilation << ", groups " << spec.groups << ", relu "
                << spec.relu << ", pool " << spec.pool << ", precision "
                << static_cast<int>(spec.precision));
  auto kernel = MakeKernel<Conv2dKernel>(device, spec);
  INFO(kernel.status());
  REQUIRE(kernel.ok());
  Convolution c(spec);
  if (spec.precision == Precision::kBf16) c.written = InBf16;
  c.Expect((*kernel)->output_block());
  // Weights begin anywhere in the parameters.
  Flat parameters(1 + c.w.size());
  parameters.Slice(1, c.w.size()).CopyFrom(c.w);
  const Flat x = OnDevice(device, c.x), w = OnDevice(device, parameters),
             b = OnDevice(device, c.b);
  Flat dy = OnDevice(device, c.dy), y = OnDevice(device, NaNs(c.dy.size())),
       dx = OnDevice(device, NaNs(c.x.size())),
       dw = OnDevice(device, NaNs(c.w.size())),
       db = OnDevice(device, NaNs(c.b.size()));
  (*kernel)->Forward(x.data(), w.data() + 1, b.data(), y.data());
  (*kernel)->Backward(x.data(), y.data(), w.data() + 1, dy.data(),
                      spec.input_gradient ? dx.data() : nullptr, {{dw}, 0},
                      {{db}, 0});
  const double error = GradientError(spec.precision);
  CHECK(Error(y.ToHost(), c.y) < kError);
  CHECK(Error(dw.ToHost(), c.dw) < error);
  CHECK(Error(db.ToHost(), c.db) < kError);
  if (spec.input_gradient) CHECK(Error(dx.ToHost(), c.dx) < error);
  REQUIRE(device.queue->Wait().ok());
}

}  // namespace monsoon
