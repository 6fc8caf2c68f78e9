// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "models/kernels/kernel.h"

namespace monsoon {

struct ConcatPart {
  int64_t channels, block;
};

struct ConcatSpec {
  int64_t batch, space;  // space = H * W
  std::vector<ConcatPart> parts;
};

// The channels of several inputs, one behind the other: input i is
// [N,C_i,space] in blocks of parts[i].block channels, Y is [N,sum of C_i,space]
// in blocks of output_block() (see Value).
template <typename Number>
class ConcatKernelOf {
 public:
  static constexpr const char* kName = "concat";
  using Part = ConcatPart;
  using Spec = ConcatSpec;

  virtual ~ConcatKernelOf() = default;
  virtual int64_t output_block() const = 0;
  virtual void Forward(absl::Span<const Number* const> x, Number* y) = 0;
  // Writes no dx that is null.
  virtual void Backward(const Number* dy, absl::Span<Number* const> dx) = 0;
};
using ConcatKernel = ConcatKernelOf<float>;

}  // namespace monsoon
