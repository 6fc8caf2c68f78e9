// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/shape.h"

namespace monsoon {

// Copies between X in blocks of `block` channels (see Value) and plain
// row-major Y [N,C,H,W].
class PlainOrderKernel {
 public:
  static constexpr const char* kName = "plain_order";
  struct Spec {
    int64_t batch;
    Shape shape;
    int64_t block;
  };

  virtual ~PlainOrderKernel() = default;
  virtual void Forward(const float* x, float* y) = 0;
  virtual void Backward(const float* dy, float* dx) = 0;
};

}  // namespace monsoon
