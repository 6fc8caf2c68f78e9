// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "base/flat.h"
#include "base/random.h"

namespace monsoon {

// How the numbers of a tensor start. fan_in is how many inputs one output sums
// up, fan_out how many outputs one input goes to.
struct Initializer {
  enum class Kind {
    kConstant,
    // He et al. 2015 (arXiv:1502.01852), variance 2 / fan_in: for ReLU.
    // U(+-sqrt(6 / fan_in)) or N(0, sqrt(2 / fan_in)).
    kHeUniform,
    kHeNormal,
    // Glorot, Bengio 2010, variance 2 / (fan_in + fan_out): for outputs without
    // ReLU. U(+-sqrt(6 / (fan_in + fan_out))) or the normal distribution.
    kXavierUniform,
    kXavierNormal,
  };

  Kind kind = Kind::kConstant;
  float value = 0;  // of kConstant
  // 0: of a tensor [outputs, inputs, ...], size / outputs and size / inputs.
  double fan_in = 0;
  double fan_out = 0;

  // Overwrites `values`, a tensor of that shape. REQUIRES: values.size() is the
  // product of `shape`, which has two extents where Xavier finds no fan_out.
  void Fill(absl::Span<const int64_t> shape, Random& random,
            Flat& values) const;
};

constexpr Initializer Constant(float value) { return {.value = value}; }
constexpr Initializer HeUniform() {
  return {.kind = Initializer::Kind::kHeUniform};
}
constexpr Initializer HeNormal() {
  return {.kind = Initializer::Kind::kHeNormal};
}
constexpr Initializer XavierUniform() {
  return {.kind = Initializer::Kind::kXavierUniform};
}
constexpr Initializer XavierNormal() {
  return {.kind = Initializer::Kind::kXavierNormal};
}

}  // namespace monsoon
