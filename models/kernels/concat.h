// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "models/kernels/kernel.h"

namespace monsoon {

// The channels of several inputs, one behind the other: input i is
// [N,C_i,space] in blocks of parts[i].block channels, Y is [N,sum of C_i,space]
// in blocks of output_block() (see Value).
class ConcatKernel {
 public:
  static constexpr const char* kName = "concat";
  struct Part {
    int64_t channels, block;
  };
  struct Spec {
    int64_t batch, space;  // space = H * W
    std::vector<Part> parts;
  };

  virtual ~ConcatKernel() = default;
  virtual int64_t output_block() const = 0;
  virtual void Forward(absl::Span<const float* const> x, float* y) = 0;
  // Writes no dx that is null.
  virtual void Backward(const float* dy, absl::Span<float* const> dx) = 0;
};

}  // namespace monsoon
