// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/shape.h"

namespace monsoon {

struct AveragePoolSpec {
  int64_t batch;
  Shape in;
  int64_t block;
  int64_t height, width;  // of a window
};

// Mean over windows of height x width, side by side. X [N,C,H,W] and
// Y [N,C,H/height,W/width], both in blocks of `block` channels (see Value).
template <typename Number>
class AveragePoolKernelOf {
 public:
  static constexpr const char* kName = "average_pool";
  using Spec = AveragePoolSpec;

  virtual ~AveragePoolKernelOf() = default;
  virtual void Forward(const Number* x, Number* y) = 0;
  // Numbers that belong to no window get 0.
  virtual void Backward(const Number* dy, Number* dx) = 0;
};
using AveragePoolKernel = AveragePoolKernelOf<float>;

}  // namespace monsoon
