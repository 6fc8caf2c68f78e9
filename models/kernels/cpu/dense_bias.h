// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

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
  const auto finish = [relu](auto value) {
    return relu ? (value > 0 ? value : decltype(value){}) : value;
  };
  const int64_t whole_batch = batch / kLanes * kLanes;
  const int64_t whole_outputs = outputs / kLanes * kLanes;
  for (int64_t n = 0; n < whole_batch; n += kLanes) {
    for (int64_t o = 0; o < whole_outputs; o += kLanes) {
      Lanes square[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) {
        square[i] = Load(transposed + (o + i) * row + n);
      }
      Transpose(square);
      const Lanes add = Load(bias + o);
      for (int64_t i = 0; i < kLanes; ++i) {
        Store(finish(square[i] + add), y + (n + i) * outputs + o);
      }
    }
  }
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t o = n < whole_batch ? whole_outputs : 0; o < outputs; ++o) {
      y[n * outputs + o] = finish(transposed[o * row + n] + bias[o]);
    }
  }
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
