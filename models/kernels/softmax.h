// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/shape.h"

namespace monsoon {

// y_c = exp(x_c) / sum_k exp(x_k) over the channels of each pixel. X and Y
// [N,C,H,W] in blocks of `block` channels (see Value).
class SoftmaxKernel {
 public:
  static constexpr const char* kName = "softmax";
  struct Spec {
    int64_t batch;
    Shape shape;
    int64_t block;
  };

  virtual ~SoftmaxKernel() = default;
  // No exponential overflows. x and y may be the same memory.
  virtual void Forward(const float* x, float* y) = 0;
  // dx_c = y_c (dy_c - sum_k y_k dy_k). dy and dx may be the same memory.
  virtual void Backward(const float* y, const float* dy, float* dx) = 0;
};

}  // namespace monsoon
