// SPDX-License-Identifier: Apache-2.0
// The three products of a dense layer in tiles of 6 x 16 sums, which stay in
// registers; the operand with the contiguous sixteen is packed for them.
//
//   Y' = W X'    rows of W as they are, X' packed: the small operand, so that
//                the weights are read once, in order
//   dX = dY W    W packed, a block at a time
//   dW = dY' X   straight into the sink: the weights themselves, or rows of a
//                gradient that its listener takes from cache
#include <omp.h>

#include <algorithm>

#include "models/kernels/cpu/dense_bias.h"
#include "models/kernels/cpu/dense_ways.h"
#include "models/kernels/cpu/lanes.h"

namespace monsoon {
namespace {

constexpr int64_t kRows = 6;      // of a tile
constexpr int64_t kColumns = 16;  // of a tile: two vectors
// What a packed operand may take of the second-level cache.
constexpr int64_t kPackedBytes = 208 << 10;
// Examples of a pass over the weights.
constexpr int64_t kChunk = 64;
// Rows of a gradient that are computed before a listener gets them.
constexpr int64_t kGroup = 4 * kRows;

int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// The length of the fewest equal parts of n that are at most `most` long, but
// for being rounded up to a multiple.
int64_t PartOf(int64_t n, int64_t most, int64_t multiple) {
  const int64_t parts = (n + most - 1) / most;
  return RoundUp((n + parts - 1) / parts, multiple);
}

// c [rows, 16] = or += a b, for A [rows, depth] with steps of a_row and kStep,
// and B packed [depth, 16].
template <int kStep, bool kAdds>
void MultiplyTiles(const float* a, int64_t a_row, const float* b, int64_t rows,
                   int64_t depth, float* c, int64_t c_row) {
  constexpr int kInner = 2;
  ProductView view = {.a = a,
                      .a_row = a_row,
                      .a_group = kInner * kStep,
                      .b = b,
                      .b_depth = kColumns,
                      .b_vector = kLanes,
                      .c = c,
                      .c_row = c_row,
                      .c_vector = kLanes};
  const int64_t groups = depth / kInner;
  ProductRows<2, kInner, kStep, kAdds>(view, rows, groups);
  if (depth % kInner == 0) return;
  view.a += groups * view.a_group;
  view.b += groups * kInner * kColumns;
  ProductRows<2, 1, kStep, true>(view, rows, 1);
}

// The same for a tile with fewer than 16 columns, through `edge` [6, 16].
template <int kStep>
void MultiplyEdge(const float* a, int64_t a_row, const float* b, int64_t rows,
                  int64_t columns, int64_t depth, bool adds, float* c,
                  int64_t c_row) {
  float edge[kRows * kColumns];
  for (int64_t first = 0; first < rows; first += kRows) {
    const int64_t count = std::min(kRows, rows - first);
    MultiplyTiles<kStep, false>(a + first * a_row, a_row, b, count, depth, edge,
                                kColumns);
    for (int64_t r = 0; r < count; ++r) {
      float* to = c + (first + r) * c_row;
      for (int64_t i = 0; i < columns; ++i) {
        to[i] = (adds ? to[i] : 0) + edge[r * kColumns + i];
      }
    }
  }
}

// Rows of 16 of a matrix [rows, columns] with steps of `stride`, zeros behind
// the last column: [columns / 16, rows, 16].
void PackColumns(const float* from, int64_t stride, int64_t rows,
                 int64_t columns, float* to) {
  const int64_t whole = columns / kColumns * kColumns;
  for (int64_t r = 0; r < rows; ++r, from += stride) {
    float* row = to + r * kColumns;
    for (int64_t c = 0; c < whole; c += kColumns, row += rows * kColumns) {
      Store(Load(from + c), row);
      Store(Load(from + c + kLanes), row + kLanes);
    }
    if (whole == columns) continue;
    for (int64_t c = 0; c < kColumns; ++c) {
      row[c] = whole + c < columns ? from[whole + c] : 0;
    }
  }
}

// The same of the transposed matrix, `from` being [columns, rows]; but what
// lies eight or more behind the last column may be anything.
void PackRows(const float* from, int64_t stride, int64_t rows, int64_t columns,
              float* to) {
  for (int64_t c = 0; c < columns; c += kLanes) {
    float* panel = to + c / kColumns * kColumns * rows + c % kColumns;
    const int64_t lanes = std::min(kLanes, columns - c);
    int64_t r = 0;
    for (; lanes == kLanes && r + kLanes <= rows; r += kLanes) {
      Lanes square[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) {
        square[i] = Load(from + (c + i) * stride + r);
      }
      Transpose(square);
      for (int64_t i = 0; i < kLanes; ++i) {
        Store(square[i], panel + (r + i) * kColumns);
      }
    }
    for (; r < rows; ++r) {
      for (int64_t i = 0; i < kLanes; ++i) {
        panel[r * kColumns + i] = i < lanes ? from[(c + i) * stride + r] : 0;
      }
    }
  }
}

class TiledDense final : public DenseKernel {
 public:
  explicit TiledDense(const Spec& spec)
      : s_(spec),
        depth_(PartOf(s_.inputs, kPackedBytes / 4 / kChunk, 2)),
        width_(PartOf(s_.inputs, kPackedBytes / 4 / std::min(s_.batch, kDeep),
                      kColumns)),
        back_depth_(PartOf(s_.outputs, kDeep, 2)),
        back_width_(
            PartOf(s_.inputs, kPackedBytes / 4 / back_depth_, kColumns)),
        packed_(PackedSize()),
        transposed_(s_.outputs * kChunk),
        dy_(RoundUp(s_.outputs, kRows) * std::min(s_.batch, kDeep)),
        rows_(kGroup * width_),
        db_(s_.outputs) {}

  std::string way() const override { return "tiled"; }

  void Forward(const float* x, const float* w, const float* b,
               float* y) override {
    for (int64_t n = 0; n < s_.batch; n += kChunk) {
      const int64_t count = std::min(kChunk, s_.batch - n);
      for (int64_t k = 0; k < s_.inputs; k += depth_) {
        const int64_t depth = std::min(depth_, s_.inputs - k);
        PackRows(x + n * s_.inputs + k, s_.inputs, depth, count,
                 packed_.data());
        if (k == 0) {
          MultiplyWeights<false>(w + k, depth, count);
        } else {
          MultiplyWeights<true>(w + k, depth, count);
        }
      }
      WriteTransposed(transposed_.data(), RoundUp(count, kColumns), count, b,
                      s_.outputs, s_.relu, y + n * s_.outputs);
    }
  }

  void Backward(const float* x, const float* y, const float* w, float* dy,
                float* dx, const TensorSink& dw,
                const TensorSink& db) override {
    MaskAndSum(s_, y, dy, db_);
    if (dx != nullptr) InputGradient(dy, w, dx);
    WeightGradient(dy, x, dw);
    db.Take(db_.data(), s_.outputs);
  }

 private:
  // What the products of Backward sum over at a time: examples or outputs.
  static constexpr int64_t kDeep = 256;

  int64_t PackedSize() const {
    const int64_t forward = kChunk * depth_;
    const int64_t backward = width_ * std::min(s_.batch, kDeep);
    return std::max({forward, backward, back_width_ * back_depth_});
  }

  // transposed_ [O, count] = or += W [O, depth] X', packed.
  template <bool kAdds>
  void MultiplyWeights(const float* w, int64_t depth, int64_t count) {
    const int64_t row = RoundUp(count, kColumns);
#pragma omp parallel for
    for (int64_t o = 0; o < s_.outputs; o += kRows) {
      const int64_t rows = std::min(kRows, s_.outputs - o);
      for (int64_t n = 0; n < row; n += kColumns) {
        MultiplyTiles<1, kAdds>(w + o * s_.inputs, s_.inputs,
                                packed_.data() + n * depth, rows, depth,
                                transposed_.data() + o * row + n, row);
      }
    }
  }

  void InputGradient(const float* dy, const float* w, float* dx) {
    for (int64_t i = 0; i < s_.inputs; i += back_width_) {
      const int64_t width = std::min(back_width_, s_.inputs - i);
      for (int64_t o = 0; o < s_.outputs; o += back_depth_) {
        const int64_t depth = std::min(back_depth_, s_.outputs - o);
        PackColumns(w + o * s_.inputs + i, s_.inputs, depth, width,
                    packed_.data());
#pragma omp parallel for
        for (int64_t n = 0; n < s_.batch; n += kRows) {
          const int64_t rows = std::min(kRows, s_.batch - n);
          for (int64_t c = 0; c < width; c += kColumns) {
            MultiplyPanel<1>(dy + n * s_.outputs + o, s_.outputs, rows, depth,
                             c, width, o > 0, dx + n * s_.inputs + i,
                             s_.inputs);
          }
        }
      }
    }
  }

  // Columns [column, column + 16) of c [rows, width] = or += a packed_, where
  // packed_ is [width / 16, depth, 16].
  template <int kStep>
  void MultiplyPanel(const float* a, int64_t a_row, int64_t rows, int64_t depth,
                     int64_t column, int64_t width, bool adds, float* c,
                     int64_t c_row) const {
    const float* b = packed_.data() + column * depth;
    c += column;
    if (column + kColumns > width) {
      MultiplyEdge<kStep>(a, a_row, b, rows, width - column, depth, adds, c,
                          c_row);
    } else if (adds) {
      MultiplyTiles<kStep, true>(a, a_row, b, rows, depth, c, c_row);
    } else {
      MultiplyTiles<kStep, false>(a, a_row, b, rows, depth, c, c_row);
    }
  }

  void WeightGradient(const float* dy, const float* x, const TensorSink& dw) {
    for (int64_t n = 0; n < s_.batch; n += kDeep) {
      const int64_t depth = std::min(kDeep, s_.batch - n);
      PackGradients(dy + n * s_.outputs, depth, dw.scale);
      TensorSink sink = dw;
      if (n > 0) sink.beta = 1;
      if (n + depth < s_.batch) sink.listener = nullptr;
      for (int64_t i = 0; i < s_.inputs; i += width_) {
        const int64_t width = std::min(width_, s_.inputs - i);
        PackColumns(x + n * s_.inputs + i, s_.inputs, depth, width,
                    packed_.data());
        AddWeightGradient(i, width, depth, sink);
      }
    }
  }

  // Columns [i, i + width) of dW, of `depth` examples.
  void AddWeightGradient(int64_t i, int64_t width, int64_t depth,
                         const TensorSink& sink) {
    const bool hands_on = sink.listener != nullptr && sink.beta == 0 &&
                          omp_get_max_threads() == 1;
#pragma omp parallel for
    for (int64_t first = 0; first < s_.outputs; first += kGroup) {
      const int64_t last = std::min(first + kGroup, s_.outputs);
      float* to = hands_on ? rows_.data() : sink.into + first * s_.inputs + i;
      const int64_t row = hands_on ? width : s_.inputs;
      Scale(to, row, last - first, width, sink.beta);
      for (int64_t c = 0; c < width; c += kColumns) {
        for (int64_t o = first; o < last; o += kRows) {
          const int64_t rows = std::min(kRows, last - o);
          float* tile = to + (o - first) * row;
          if (hands_on) Prefetch(sink, o * s_.inputs + i + c, rows);
          MultiplyPanel<kRows>(dy_.data() + o * depth, 1, rows, depth, c, width,
                               sink.beta != 0, tile, row);
        }
      }
      if (hands_on) HandOn(sink, rows_.data(), width, first, last, i, width);
    }
    if (hands_on) return;
    HandOn(sink, sink.into + i, s_.inputs, 0, s_.outputs, i, width);
  }

  // Columns [i, i + width) of the rows [first, last) of dW, the first of which
  // lies at `rows`.
  void HandOn(const TensorSink& sink, const float* rows, int64_t row,
              int64_t first, int64_t last, int64_t i, int64_t width) const {
    if (sink.listener == nullptr) return;
    if (width == s_.inputs) {
      sink.HandOn(first * width, rows, (last - first) * width);
      return;
    }
    for (int64_t o = first; o < last; ++o, rows += row) {
      sink.HandOn(o * s_.inputs + i, rows, width);
    }
  }

  // What the listener will touch for a tile at `offset` of the weights: so its
  // reading goes on beside the product.
  void Prefetch(const TensorSink& sink, int64_t offset, int64_t rows) const {
    for (const float* vector : sink.listener->touches()) {
      const float* at = vector + sink.place + offset;
      for (int64_t r = 0; r < rows; ++r) {
        __builtin_prefetch(at + r * s_.inputs, /*write=*/1, /*locality=*/2);
      }
    }
  }

  // For betas other than 0 and 1.
  static void Scale(float* to, int64_t row, int64_t rows, int64_t width,
                    float beta) {
    if (beta == 0 || beta == 1) return;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < width; ++i) to[r * row + i] *= beta;
    }
  }

  // dy_ [O / 6, depth, 6] = scale dY
  void PackGradients(const float* dy, int64_t depth, float scale) {
    for (int64_t o = 0; o < s_.outputs; o += kRows) {
      const int64_t rows = std::min(kRows, s_.outputs - o);
      float* to = dy_.data() + o * depth;
      for (int64_t n = 0; n < depth; ++n, to += kRows) {
        for (int64_t r = 0; r < rows; ++r) {
          to[r] = scale * dy[n * s_.outputs + o + r];
        }
      }
    }
  }

  const Spec s_;
  const int64_t depth_;       // of a product of Forward
  const int64_t width_;       // columns of a product of Backward
  const int64_t back_depth_;  // outputs that dX sums over at a time
  const int64_t back_width_;
  Flat packed_;
  Flat transposed_;  // Y' of a chunk
  Flat dy_, rows_, db_;
};

}  // namespace

std::unique_ptr<DenseKernel> MakeTiledDense(const DenseKernel::Spec& spec) {
  return std::make_unique<TiledDense>(spec);
}

}  // namespace monsoon
