// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

// Eight floats that are computed on at once, and a small matrix product over
// them: what the kernels written by hand have in common. Files that include
// this are compiled with contraction (a * b + c in one rounding).
namespace monsoon {

inline constexpr int64_t kLanes = 8;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

inline Lanes Load(const float* from) {
  Lanes value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}
inline void Store(const Lanes& value, float* to) {
  std::memcpy(to, &value, sizeof(value));
}
inline Lanes Fill(float value) { return value - Lanes{}; }

// A matrix by its strides, in floats.
struct MatrixView {
  const float* data;
  int64_t row, column;
};

// C [kRows, 8 kVectors] = A [kRows, depth] B [depth, 8 kVectors] (+ C): all
// sums stay in registers. Rows of B and C are contiguous, `ldb` and `ldc`
// apart.
template <int kRows, int kVectors, bool kAdds>
inline void ProductBlock(const MatrixView& a, const float* b, int64_t ldb,
                         int64_t depth, float* c, int64_t ldc) {
  Lanes sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = kAdds ? Load(c + r * ldc + v * kLanes) : Lanes{};
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Lanes row[kVectors];
    for (int v = 0; v < kVectors; ++v) row[v] = Load(b + k * ldb + v * kLanes);
    for (int r = 0; r < kRows; ++r) {
      const Lanes factor = Fill(a.data[r * a.row + k * a.column]);
      for (int v = 0; v < kVectors; ++v) sum[r][v] += factor * row[v];
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      Store(sum[r][v], c + r * ldc + v * kLanes);
    }
  }
}

// The same for `rows` rows, six at a time.
template <int kVectors, bool kAdds>
inline void ProductColumns(MatrixView a, const float* b, int64_t ldb,
                           int64_t rows, int64_t depth, float* c, int64_t ldc) {
  for (; rows >= 6; rows -= 6, a.data += 6 * a.row, c += 6 * ldc) {
    ProductBlock<6, kVectors, kAdds>(a, b, ldb, depth, c, ldc);
  }
  switch (rows) {
    case 5:
      return ProductBlock<5, kVectors, kAdds>(a, b, ldb, depth, c, ldc);
    case 4:
      return ProductBlock<4, kVectors, kAdds>(a, b, ldb, depth, c, ldc);
    case 3:
      return ProductBlock<3, kVectors, kAdds>(a, b, ldb, depth, c, ldc);
    case 2:
      return ProductBlock<2, kVectors, kAdds>(a, b, ldb, depth, c, ldc);
    case 1:
      return ProductBlock<1, kVectors, kAdds>(a, b, ldb, depth, c, ldc);
    default:
      return;
  }
}

// C [rows, columns] = A [rows, depth] B [depth, columns] (+ C), B and C
// without gaps. REQUIRES: columns is a multiple of 8.
template <bool kAdds>
inline void SmallProduct(const MatrixView& a, const float* b, int64_t rows,
                         int64_t columns, int64_t depth, float* c) {
  int64_t at = 0;
  for (; at + 2 * kLanes <= columns; at += 2 * kLanes) {
    ProductColumns<2, kAdds>(a, b + at, columns, rows, depth, c + at, columns);
  }
  if (at < columns) {
    ProductColumns<1, kAdds>(a, b + at, columns, rows, depth, c + at, columns);
  }
}

}  // namespace monsoon
