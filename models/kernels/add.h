// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/shape.h"

namespace monsoon {

struct AddSpec {
  int64_t batch;
  Shape shape;
  int64_t block, b_block;
};

// Y = A + B, all [N,C,H,W]: A and Y in blocks of `block` channels, B in blocks
// of `b_block` (see Value).
template <typename Number>
class AddKernelOf {
 public:
  static constexpr const char* kName = "add";
  using Spec = AddSpec;

  virtual ~AddKernelOf() = default;
  // A and Y may be the same memory.
  virtual void Forward(const Number* a, const Number* b, Number* y) = 0;
  // dA = dB = dY; writes neither where it is null. dY and dA may be the same
  // memory.
  virtual void Backward(const Number* dy, Number* da, Number* db) = 0;
};
using AddKernel = AddKernelOf<float>;

}  // namespace monsoon
