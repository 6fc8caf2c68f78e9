// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"

namespace monsoon {

// y = max(x, 0) over `size` numbers, the whole batch.
class ReluKernel {
 public:
  static constexpr const char* kName = "relu";
  struct Spec {
    int64_t size;
  };

  virtual ~ReluKernel() = default;
  // x and y may be the same memory.
  virtual void Forward(const float* x, float* y) = 0;
  // dx = dy where y > 0, else 0. dy and dx may be the same memory.
  virtual void Backward(const float* y, const float* dy, float* dx) = 0;
};

}  // namespace monsoon
