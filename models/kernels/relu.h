// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"

namespace monsoon {

struct ReluSpec {
  int64_t size;
};

// y = max(x, 0) over `size` numbers, the whole batch.
template <typename Number>
class ReluKernelOf {
 public:
  static constexpr const char* kName = "relu";
  using Spec = ReluSpec;

  virtual ~ReluKernelOf() = default;
  // x and y may be the same memory.
  virtual void Forward(const Number* x, Number* y) = 0;
  // dx = dy where y > 0, else 0. dy and dx may be the same memory.
  virtual void Backward(const Number* y, const Number* dy, Number* dx) = 0;
};
using ReluKernel = ReluKernelOf<float>;

}  // namespace monsoon
