// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/shape.h"

namespace monsoon {

struct MaxPoolSpec {
  int64_t batch;
  Shape in;
  int64_t block;
  int64_t size;
};

// Maximum over windows of size x size, side by side. X [N,C,H,W] and
// Y [N,C,H/size,W/size], both in blocks of `block` channels (see Value). A tie
// goes to the first in row order.
template <typename Number>
class MaxPoolKernelOf {
 public:
  static constexpr const char* kName = "max_pool";
  using Spec = MaxPoolSpec;

  virtual ~MaxPoolKernelOf() = default;
  virtual void Forward(const Number* x, Number* y) = 0;
  // Gives dY to the winners of the last Forward, 0 to all others.
  virtual void Backward(const Number* dy, Number* dx) = 0;
};
using MaxPoolKernel = MaxPoolKernelOf<float>;

}  // namespace monsoon
