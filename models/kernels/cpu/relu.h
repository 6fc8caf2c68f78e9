// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace monsoon {

// dx = dy where y > 0, else 0; `size` numbers. dy and dx may be the same.
inline void MaskByOutput(const float* y, const float* dy, float* dx,
                         int64_t size) {
#pragma omp parallel for simd
  for (int64_t i = 0; i < size; ++i) dx[i] = y[i] > 0 ? dy[i] : 0;
}

}  // namespace monsoon
