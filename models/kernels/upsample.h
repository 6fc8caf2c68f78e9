// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/shape.h"

namespace monsoon {

struct UpsampleSpec {
  int64_t batch;
  Shape in;
  int64_t block;
  int64_t scale;
  // Else nearest. Pixels are areas (align_corners=false): row h of Y lies at
  // (h + 1/2) / scale - 1/2 of X, at least 0.
  bool bilinear;
};

// Images `scale` times as high and as wide. X [N,C,H,W] and
// Y [N,C,scale H,scale W], both in blocks of `block` channels (see Value).
template <typename Number>
class UpsampleKernelOf {
 public:
  static constexpr const char* kName = "upsample";
  using Spec = UpsampleSpec;

  virtual ~UpsampleKernelOf() = default;
  virtual void Forward(const Number* x, Number* y) = 0;
  virtual void Backward(const Number* dy, Number* dx) = 0;
};
using UpsampleKernel = UpsampleKernelOf<float>;

}  // namespace monsoon
