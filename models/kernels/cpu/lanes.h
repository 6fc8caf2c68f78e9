// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

// Eight floats that are computed on at once, and a small matrix product over
// them: what the kernels written by hand have in common. Files that use the
// product are compiled with contraction (a * b + c in one rounding).
namespace monsoon {

inline constexpr int64_t kLanes = 8;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

// The same at any address of floats.
using LanesInMemory = float
    __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

inline Lanes Load(const float* from) {
  return *reinterpret_cast<const LanesInMemory*>(from);
}
inline void Store(const Lanes& value, float* to) {
  *reinterpret_cast<LanesInMemory*>(to) = value;
}
// What comparing two Lanes gives, and numbers below 256 as so many bytes.
using LaneInts = int32_t __attribute__((vector_size(kLanes * sizeof(int32_t))));
inline LaneInts LoadBytes(const uint8_t* from) {
  using Bytes = uint8_t __attribute__((vector_size(kLanes)));
  Bytes bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  return __builtin_convertvector(bytes, LaneInts);
}
inline void StoreBytes(const LaneInts& value, uint8_t* to) {
  using Bytes = uint8_t __attribute__((vector_size(kLanes)));
  const Bytes bytes = __builtin_convertvector(value, Bytes);
  std::memcpy(to, &bytes, sizeof bytes);
}
inline Lanes Fill(float value) { return value - Lanes{}; }

// Turns rows into columns: swaps ever smaller squares.
inline void Transpose(Lanes (&m)[kLanes]) {
  const auto swap = [&m](int distance, auto shuffle) {
#pragma GCC unroll 8
    for (int i = 0; i < kLanes; ++i) {
      if ((i & distance) == 0) shuffle(m[i], m[i + distance]);
    }
  };
  swap(4, [](Lanes& a, Lanes& b) {
    const Lanes low = a;
    a = __builtin_shufflevector(low, b, 0, 1, 2, 3, 8, 9, 10, 11);
    b = __builtin_shufflevector(low, b, 4, 5, 6, 7, 12, 13, 14, 15);
  });
  swap(2, [](Lanes& a, Lanes& b) {
    const Lanes low = a;
    a = __builtin_shufflevector(low, b, 0, 1, 8, 9, 4, 5, 12, 13);
    b = __builtin_shufflevector(low, b, 2, 3, 10, 11, 6, 7, 14, 15);
  });
  swap(1, [](Lanes& a, Lanes& b) {
    const Lanes low = a;
    a = __builtin_shufflevector(low, b, 0, 8, 2, 10, 4, 12, 6, 14);
    b = __builtin_shufflevector(low, b, 1, 9, 3, 11, 5, 13, 7, 15);
  });
}

// a [rows, columns], whose rows are a_row apart, to b [columns, rows]:
// finish(value, r) of each value (a float, or Lanes from eight rows on) of row
// r.
template <typename Finish>
inline void TransposeMatrix(const float* a, int64_t a_row, int64_t rows,
                            int64_t columns, float* b, Finish finish) {
  const int64_t whole_rows = rows / kLanes * kLanes;
  const int64_t whole_columns = columns / kLanes * kLanes;
  for (int64_t r = 0; r < whole_rows; r += kLanes) {
    for (int64_t c = 0; c < whole_columns; c += kLanes) {
      Lanes square[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) {
        square[i] = Load(a + (r + i) * a_row + c);
      }
      Transpose(square);
      for (int64_t i = 0; i < kLanes; ++i) {
        Store(finish(square[i], r), b + (c + i) * rows + r);
      }
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t first = r < whole_rows ? whole_columns : 0;
    for (int64_t c = first; c < columns; ++c) {
      b[c * rows + r] = finish(a[r * a_row + c], r);
    }
  }
}
inline void TransposeMatrix(const float* a, int64_t rows, int64_t columns,
                            float* b) {
  TransposeMatrix(a, columns, rows, columns, b,
                  [](const auto& value, int64_t) { return value; });
}

// The operands of a product C = A B, by their strides in floats. C [rows, 8
// vectors], A [rows, depth], B [depth, 8 vectors]; depth is counted in groups
// of kInner.
struct ProductView {
  const float* a;
  int64_t a_row, a_group;  // within a group, kInnerStride apart
  const float* b;
  int64_t b_depth, b_vector;
  float* c;
  int64_t c_row, c_vector;
};

// A block of C, all sums in registers; C is added to where kAdds.
template <int kRows, int kVectors, int kInner, int kInnerStride, bool kAdds>
inline void ProductBlock(const ProductView& view, int64_t groups) {
  Lanes sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] =
          kAdds ? Load(view.c + r * view.c_row + v * view.c_vector) : Lanes{};
    }
  }
  const float* a = view.a;
  const float* b = view.b;
  for (int64_t group = 0; group < groups; ++group, a += view.a_group) {
#pragma GCC unroll 8
    for (int k = 0; k < kInner; ++k, b += view.b_depth) {
      Lanes row[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) row[v] = Load(b + v * view.b_vector);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const Lanes factor = Fill(a[r * view.a_row + k * kInnerStride]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) sum[r][v] += factor * row[v];
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      Store(sum[r][v], view.c + r * view.c_row + v * view.c_vector);
    }
  }
}

// The same for `rows` rows, at most kRows.
template <int kRows, int kVectors, int kInner, int kInnerStride, bool kAdds>
inline void ProductRest(const ProductView& view, int64_t rows, int64_t groups) {
  if (rows == kRows) {
    ProductBlock<kRows, kVectors, kInner, kInnerStride, kAdds>(view, groups);
  } else if constexpr (kRows > 1) {
    ProductRest<kRows - 1, kVectors, kInner, kInnerStride, kAdds>(view, rows,
                                                                  groups);
  }
}

// The same for any number of rows, six at a time.
template <int kVectors, int kInner, int kInnerStride, bool kAdds>
inline void ProductRows(ProductView view, int64_t rows, int64_t groups) {
  constexpr int kMost = 6;
  for (; rows >= kMost; rows -= kMost) {
    ProductBlock<kMost, kVectors, kInner, kInnerStride, kAdds>(view, groups);
    view.a += kMost * view.a_row;
    view.c += kMost * view.c_row;
  }
  ProductRest<kMost - 1, kVectors, kInner, kInnerStride, kAdds>(view, rows,
                                                                groups);
}

}  // namespace monsoon
