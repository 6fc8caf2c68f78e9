// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"

namespace monsoon {

struct DropoutSpec {
  int64_t size;
  double rate;  // in [0, 1)
};

// Sets numbers to 0, each with probability `rate`, and divides the others by
// 1 - rate. `size` numbers, the whole batch.
template <typename Number>
class DropoutKernelOf {
 public:
  static constexpr const char* kName = "dropout";
  using Spec = DropoutSpec;

  virtual ~DropoutKernelOf() = default;
  // Which numbers fall is a function of the key and the place in memory: the
  // gradient is the same call with dY and dX. `from` and `to` may be the same
  // memory.
  virtual void Apply(uint64_t key, const Number* from, Number* to) = 0;
};
using DropoutKernel = DropoutKernelOf<float>;

}  // namespace monsoon
