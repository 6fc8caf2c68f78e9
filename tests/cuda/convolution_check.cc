// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/convolution_check.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
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

// Of numbers that are written in bfloat16: each is rounded by 2^-8 of itself at
// most.
constexpr double kBf16Error = 1.0 / 256 + kError;

// Of a device, float or Bf16.
template <typename Number>
class Numbers {
 public:
  Numbers(const Device& device, const Flat& values)
      : device_(device),
        there_(values.size() * int64_t{sizeof(Number)} / 4 + 1,
               device.memory()) {
    const std::vector<Number> numbers(values.span().begin(),
                                      values.span().end());
    size_ = numbers.size();
    device.queue->Copy(data(), numbers.data(), size_ * sizeof(Number));
  }

  Number* data() { return reinterpret_cast<Number*>(there_.data()); }
  Flat Get() {
    std::vector<Number> numbers(size_);
    device_.queue->Copy(numbers.data(), data(), size_ * sizeof(Number));
    device_.queue->Wait().IgnoreError();  // it keeps its status
    Flat here(static_cast<int64_t>(size_));
    std::transform(numbers.begin(), numbers.end(), here.span().begin(),
                   [](Number value) { return static_cast<float>(value); });
    return here;
  }

 private:
  const Device device_;
  Flat there_;
  size_t size_ = 0;
};

template <typename In, typename Out>
void CheckTyped(const Device& device, const Conv2dSpec& spec) {
  auto kernel = MakeKernel<Conv2dKernelOf<In, Out>>(device, spec);
  INFO(kernel.status());
  REQUIRE(kernel.ok());
  Convolution c(spec);
  if (spec.precision == Precision::kBf16) c.written = InBf16;
  c.Expect((*kernel)->output_block());
  // Weights begin anywhere in the parameters.
  Flat parameters(1 + c.w.size());
  parameters.Slice(1, c.w.size()).CopyFrom(c.w);
  Numbers<In> x(device, c.x), dx(device, NaNs(c.x.size()));
  Numbers<Out> dy(device, c.dy), y(device, NaNs(c.dy.size()));
  const Flat w = OnDevice(device, parameters), b = OnDevice(device, c.b);
  Flat dw = OnDevice(device, NaNs(c.w.size())),
       db = OnDevice(device, NaNs(c.b.size()));
  (*kernel)->Forward(x.data(), w.data() + 1, b.data(), y.data());
  (*kernel)->Backward(x.data(), y.data(), w.data() + 1, dy.data(),
                      spec.input_gradient ? dx.data() : nullptr, {{dw}, 0},
                      {{db}, 0});
  const double error = spec.precision == Precision::kBf16 ? kBf16Error : kError;
  CHECK(Error(y.Get(), c.y) <
        (std::is_same_v<Out, Bf16> ? kBf16Error : kError));
  CHECK(Error(dw.ToHost(), c.dw) < error);
  CHECK(Error(db.ToHost(), c.db) < kError);
  if (spec.input_gradient) CHECK(Error(dx.Get(), c.dx) < error);
  REQUIRE(device.queue->Wait().ok());
}

std::string NameOf(const Conv2dSpec& spec) {
  return absl::StrCat("batch ", spec.batch, ", ", spec.in.ToString(), " to ",
                      spec.out.ToString(), ", block ", spec.block, ", window ",
                      spec.kernel, ", stride ", spec.stride, ", padding ",
                      spec.padding, ", dilation ", spec.dilation, ", groups ",
                      spec.groups, ", relu ", spec.relu, ", pool ", spec.pool,
                      ", precision ", static_cast<int>(spec.precision));
}

}  // namespace

Flat OnDevice(const Device& device, const Flat& values) {
  Flat copy(values.size(), device.memory());
  copy.CopyFrom(values);
  return copy;
}

void CheckConvolution(const Device& device, const Conv2dKernel::Spec& spec) {
  INFO(NameOf(spec));
  CheckTyped<float, float>(device, spec);
}

void CheckBf16Convolution(const Device& device,
                          const Conv2dKernel::Spec& spec) {
  INFO(NameOf(spec) << ", bfloat16 activations");
  CheckTyped<Bf16, Bf16>(device, spec);
  CheckTyped<Bf16, float>(device, spec);
}

}  // namespace monsoon
