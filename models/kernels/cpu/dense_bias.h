// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "base/flat.h"
#include "models/kernels/cpu/lanes.h"
#include "models/kernels/dense.h"

// What the ways of a dense layer do beside their products.
namespace monsoon {

// y [batch, outputs] = y' + bias, and ReLU where asked, for y' transposed:
// [outputs, row] of which the first `batch` count.
inline void WriteTransposed(const float* transposed, int64_t row, int64_t batch,
                            const float* bias, int64_t outputs, bool relu,
                            float* y) {
  const auto finish = [bias, relu](auto value, int64_t o) {
    if constexpr (std::is_same_v<decltype(value), float>) {
      value += bias[o];
    } else {
      value += Load(bias + o);
    }
    return relu ? (value > 0 ? value : decltype(value){}) : value;
  };
  TransposeMatrix(transposed, row, outputs, batch, y, finish);
}

// dY where y > 0 (for ReLU), and its column sums.
inline void MaskAndSum(const DenseKernel::Spec& s, const float* y, float* dy,
                       Flat& db) {
  std::fill_n(db.data(), s.outputs, 0.0f);
  for (int64_t n = 0; n < s.batch; ++n) {
    Flat gradient = Flat::View(dy + n * s.outputs, s.outputs);
    const Flat output = Flat::View(y + n * s.outputs, s.outputs);
    if (s.relu) {
      ForEach(
          [](float& g, float& sum, float out) {
            g = out > 0 ? g : 0;
            sum += g;
          },
          gradient, db, output);
    } else {
      ForEach([](float& sum, float g) { sum += g; }, db, gradient);
    }
  }
}

}  // namespace monsoon
