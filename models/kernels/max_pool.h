// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/shape.h"

namespace monsoon {

// Maximum over windows of size x size, side by side. X [N,C,H,W] and
// Y [N,C,H/size,W/size], both in blocks of `block` channels (see Value). A tie
// goes to the first in row order.
class MaxPoolKernel {
 public:
  static constexpr const char* kName = "max_pool";
  struct Spec {
    int64_t batch;
    Shape in;
    int64_t block;
    int64_t size;
  };

  virtual ~MaxPoolKernel() = default;
  virtual void Forward(const float* x, float* y) = 0;
  // Gives dY to the winners of the last Forward, 0 to all others.
  virtual void Backward(const float* dy, float* dx) = 0;
};

}  // namespace monsoon
