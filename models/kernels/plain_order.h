// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/shape.h"

namespace monsoon {

struct PlainOrderSpec {
  int64_t batch;
  Shape shape;
  int64_t block;
};

// Copies between X in blocks of `block` channels (see Value) and plain
// row-major Y [N,C,H,W].
template <typename Number>
class PlainOrderKernelOf {
 public:
  static constexpr const char* kName = "plain_order";
  using Spec = PlainOrderSpec;

  virtual ~PlainOrderKernelOf() = default;
  virtual void Forward(const Number* x, Number* y) = 0;
  virtual void Backward(const Number* dy, Number* dx) = 0;
};
using PlainOrderKernel = PlainOrderKernelOf<float>;

}  // namespace monsoon
