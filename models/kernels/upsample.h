// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/shape.h"

namespace monsoon {

// Images `scale` times as high and as wide. X [N,C,H,W] and
// Y [N,C,scale H,scale W], both in blocks of `block` channels (see Value).
class UpsampleKernel {
 public:
  static constexpr const char* kName = "upsample";
  struct Spec {
    int64_t batch;
    Shape in;
    int64_t block;
    int64_t scale;
    // Else nearest. Pixels are areas (align_corners=false): row h of Y lies at
    // (h + 1/2) / scale - 1/2 of X, at least 0.
    bool bilinear;
  };

  virtual ~UpsampleKernel() = default;
  virtual void Forward(const float* x, float* y) = 0;
  virtual void Backward(const float* dy, float* dx) = 0;
};

}  // namespace monsoon
