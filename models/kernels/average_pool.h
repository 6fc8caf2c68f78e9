// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/shape.h"

namespace monsoon {

// Mean over windows of height x width, side by side. X [N,C,H,W] and
// Y [N,C,H/height,W/width], both in blocks of `block` channels (see Value).
class AveragePoolKernel {
 public:
  static constexpr const char* kName = "average_pool";
  struct Spec {
    int64_t batch;
    Shape in;
    int64_t block;
    int64_t height, width;  // of a window
  };

  virtual ~AveragePoolKernel() = default;
  virtual void Forward(const float* x, float* y) = 0;
  // Numbers that belong to no window get 0.
  virtual void Backward(const float* dy, float* dx) = 0;
};

}  // namespace monsoon
