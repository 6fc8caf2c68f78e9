// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/shape.h"

namespace monsoon {

// Y = A + B, all [N,C,H,W]: A and Y in blocks of `block` channels, B in blocks
// of `b_block` (see Value).
class AddKernel {
 public:
  static constexpr const char* kName = "add";
  struct Spec {
    int64_t batch;
    Shape shape;
    int64_t block, b_block;
  };

  virtual ~AddKernel() = default;
  // A and Y may be the same memory.
  virtual void Forward(const float* a, const float* b, float* y) = 0;
  // dA = dB = dY; writes neither where it is null. dY and dA may be the same
  // memory.
  virtual void Backward(const float* dy, float* da, float* db) = 0;
};

}  // namespace monsoon
