// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/shape.h"

namespace monsoon {

struct SoftmaxSpec {
  int64_t batch;
  Shape shape;
  int64_t block;
};

// y_c = exp(x_c) / sum_k exp(x_k) over the channels of each pixel. X and Y
// [N,C,H,W] in blocks of `block` channels (see Value).
template <typename Number>
class SoftmaxKernelOf {
 public:
  static constexpr const char* kName = "softmax";
  using Spec = SoftmaxSpec;

  virtual ~SoftmaxKernelOf() = default;
  // No exponential overflows. x and y may be the same memory.
  virtual void Forward(const Number* x, Number* y) = 0;
  // dx_c = y_c (dy_c - sum_k y_k dy_k). dy and dx may be the same memory.
  virtual void Backward(const Number* y, const Number* dy, Number* dx) = 0;
};
using SoftmaxKernel = SoftmaxKernelOf<float>;

}  // namespace monsoon
