// SPDX-License-Identifier: Apache-2.0
// 3x3 convolution of stride 1 by the minimal filtering algorithm F(4x4, 3x3).
//
// Source:   Winograd 1980; Lavin and Gray 2015, arXiv:1509.09308.
// Rule:     Y  = A'[ (G w G') * (B' x B) ]A, tiles of 6x6 inputs, 4x4 outputs,
//           dX = B[ (G w G') * (A dY A') ]B', added where tiles overlap,
//           dW = G'[ (B' x B) * (A dY A') ]G, summed over tiles:
//           the first one and its two adjoints, where * is one product of
//           matrices (tiles, C and O) for each of the 36 places.
// Rounding: docs/performance.md has the error beside the direct way's.
// Cost:     a chunk of tiles goes through all steps while it is in cache;
//           transformed inputs are made again in Backward, which is cheaper
//           than to keep them.
#include <omp.h>

#include <algorithm>
#include <vector>

#include "models/kernels/cpu/conv2d_ways.h"
#include "models/kernels/cpu/lanes.h"

namespace monsoon {
namespace {

constexpr int kIn = 6;   // inputs of a tile, each way
constexpr int kOut = 4;  // outputs
constexpr int kPlaces = kIn * kIn;
constexpr int kWindow = 3;
// What a chunk's transformed inputs and outputs may take of the second-level
// cache, which has the weights as well.
constexpr int64_t kChunkBytes = 160 << 10;

// The matrices of F(4, 3), as the sums that they stand for. Strides in
// elements of `V`.

// B' (6x6): inputs into the places of the products.
template <typename V>
void ApplyBt(const V* d, int64_t ds, V* t, int64_t ts) {
  const V d0 = d[0], d1 = d[ds], d2 = d[2 * ds], d3 = d[3 * ds], d4 = d[4 * ds],
          d5 = d[5 * ds];
  const V even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1;
  const V far = d4 - d2, twice = 2.0f * (d3 - d1);
  t[0] = 4.0f * d0 - 5.0f * d2 + d4;
  t[ts] = even + odd;
  t[2 * ts] = even - odd;
  t[3 * ts] = far + twice;
  t[4 * ts] = far - twice;
  t[5 * ts] = 4.0f * d1 - 5.0f * d3 + d5;
}

// B (6x6), its adjoint.
template <typename V>
void ApplyB(const V* d, int64_t ds, V* t, int64_t ts) {
  const V d0 = d[0], d1 = d[ds], d2 = d[2 * ds], d3 = d[3 * ds], d4 = d[4 * ds],
          d5 = d[5 * ds];
  const V sum12 = d1 + d2, difference12 = d1 - d2;
  const V sum34 = d3 + d4, difference34 = d3 - d4;
  t[0] = 4.0f * d0;
  t[ts] = 4.0f * (d5 - difference12) - 2.0f * difference34;
  t[2 * ts] = -5.0f * d0 - 4.0f * sum12 - sum34;
  t[3 * ts] = difference12 + 2.0f * difference34 - 5.0f * d5;
  t[4 * ts] = d0 + sum12 + sum34;
  t[5 * ts] = d5;
}

// A' (4x6): places into outputs.
template <typename V>
void ApplyAt(const V* m, int64_t ms, V* y, int64_t ys) {
  const V m1 = m[ms], m2 = m[2 * ms], m3 = m[3 * ms], m4 = m[4 * ms];
  const V sum12 = m1 + m2, difference12 = m1 - m2;
  const V sum34 = m3 + m4, difference34 = m3 - m4;
  y[0] = m[0] + sum12 + sum34;
  y[ys] = difference12 + 2.0f * difference34;
  y[2 * ys] = sum12 + 4.0f * sum34;
  y[3 * ys] = difference12 + 8.0f * difference34 + m[5 * ms];
}

// A (6x4), its adjoint.
template <typename V>
void ApplyA(const V* g, int64_t gs, V* t, int64_t ts) {
  const V g0 = g[0], g1 = g[gs], g2 = g[2 * gs], g3 = g[3 * gs];
  const V even = g0 + g2, odd = g1 + g3;
  const V even4 = g0 + 4.0f * g2, odd4 = 2.0f * g1 + 8.0f * g3;
  t[0] = g0;
  t[ts] = even + odd;
  t[2 * ts] = even - odd;
  t[3 * ts] = even4 + odd4;
  t[4 * ts] = even4 - odd4;
  t[5 * ts] = g3;
}

// G (6x3): weights into places.
void ApplyG(const float* w, int64_t ws, float* t, int64_t ts) {
  const float w0 = w[0], w1 = w[ws], w2 = w[2 * ws];
  t[0] = w0 / 4;
  t[ts] = -(w0 + w1 + w2) / 6;
  t[2 * ts] = -(w0 - w1 + w2) / 6;
  t[3 * ts] = (w0 + 2 * w1 + 4 * w2) / 24;
  t[4 * ts] = (w0 - 2 * w1 + 4 * w2) / 24;
  t[5 * ts] = w2;
}

// G' (3x6), its adjoint.
void ApplyGt(const float* t, int64_t ts, float* w, int64_t ws) {
  const float t1 = t[ts], t2 = t[2 * ts], t3 = t[3 * ts], t4 = t[4 * ts];
  w[0] = t[0] / 4 - (t1 + t2) / 6 + (t3 + t4) / 24;
  w[ws] = (t2 - t1) / 6 + (t3 - t4) / 12;
  w[2 * ws] = -(t1 + t2) / 6 + (t3 + t4) / 6 + t[5 * ts];
}

// Eight channels of an image in blocks: lanes at row and column.
struct Plane {
  Plane(const Shape& s, int64_t channel_block, int64_t image, int64_t channel)
      : shape(s),
        block(channel_block),
        offset((image * s.channels + channel / block * block) * s.height *
                   s.width +
               channel % block) {}
  int64_t At(int64_t row, int64_t column) const {
    return offset + (row * shape.width + column) * block;
  }
  const Shape& shape;
  int64_t block, offset;
};

bool IsInside(const Shape& shape, int64_t row, int64_t column) {
  return row >= 0 && row < shape.height && column >= 0 && column < shape.width;
}

// Where a tile reads and writes.
struct Tile {
  int64_t image;
  int64_t row, column;        // of its first output
  int64_t rows, columns;      // outputs inside the image, 1 to 4
  int64_t in_row, in_column;  // of its first input; may be in the padding
  bool inside;                // all of its inputs and outputs exist
};

// One thread's chunk of tiles, [36, tiles, channels] each, and its sums.
struct Scratch {
  Flat inputs, outputs, products;
  Flat weights;  // [36, C, O]
  Flat bias;     // [O]
};

class WinogradConv2d final : public Conv2dKernel {
 public:
  explicit WinogradConv2d(const Spec& spec);

  int64_t output_block() const override { return kLanes; }
  std::string way() const override { return "winograd"; }
  void Forward(const float* x, const float* w, const float* b,
               float* y) override;
  void Backward(const float* x, const float* y, const float* w, float* dy,
                float* dx, const TensorSink& dw, const TensorSink& db) override;

 private:
  Tile TileAt(int64_t index) const;
  int Threads() const;
  // Into weights_.
  void TransformWeights(const float* w, bool transposed);
  // Into scratch.inputs, of the tiles from `first`.
  void TransformInputs(const float* x, int64_t first, int64_t count,
                       Scratch& scratch) const;
  // Into scratch.outputs; adds to scratch.bias.
  void TransformGradients(const float* y, const float* dy, int64_t first,
                          int64_t count, Scratch& scratch) const;
  void WriteOutputs(const Scratch& scratch, const float* b, int64_t first,
                    int64_t count, float* y) const;
  void AddInputGradients(const Scratch& scratch, int64_t first, int64_t count,
                         float* dx) const;
  // Backward of the images [begin, end).
  void BackwardImages(const float* x, const float* y, const float* dy,
                      int64_t begin, int64_t end, float* dx,
                      Scratch& scratch) const;
  void ReduceWeightGradients(int threads);

  const Spec s_;
  const int64_t rows_, columns_;  // of tiles in an image
  const int64_t chunk_;           // tiles done at a time
  Flat weights_;                  // [36, C, O], or [36, O, C] transposed
  std::vector<Scratch> scratch_;  // [thread]
  Flat dw_, db_;
};

WinogradConv2d::WinogradConv2d(const Spec& spec)
    : s_(spec),
      rows_((spec.out.height + kOut - 1) / kOut),
      columns_((spec.out.width + kOut - 1) / kOut),
      chunk_(std::clamp<int64_t>(
          kChunkBytes / (kPlaces * (spec.in.channels + spec.out.channels) *
                         int64_t{sizeof(float)}),
          6, 1 << 10)),
      weights_(kPlaces * spec.in.channels * spec.out.channels),
      scratch_(static_cast<size_t>(omp_get_max_threads())),
      dw_(spec.out.channels * spec.in.channels * kWindow * kWindow),
      db_(spec.out.channels) {
  for (Scratch& scratch : scratch_) {
    const int64_t most = std::max(s_.in.channels, s_.out.channels);
    scratch.inputs = Flat(kPlaces * chunk_ * s_.in.channels);
    scratch.outputs = Flat(kPlaces * chunk_ * s_.out.channels);
    scratch.products = Flat(kPlaces * chunk_ * most);
    scratch.weights = Flat(weights_.size());
    scratch.bias = Flat(s_.out.channels);
  }
}

Tile WinogradConv2d::TileAt(int64_t index) const {
  Tile tile{};
  tile.image = index / (rows_ * columns_);
  tile.row = index / columns_ % rows_ * kOut;
  tile.column = index % columns_ * kOut;
  tile.rows = std::min<int64_t>(kOut, s_.out.height - tile.row);
  tile.columns = std::min<int64_t>(kOut, s_.out.width - tile.column);
  tile.in_row = tile.row - s_.padding;
  tile.in_column = tile.column - s_.padding;
  tile.inside = tile.rows == kOut && tile.columns == kOut && tile.in_row >= 0 &&
                tile.in_column >= 0 && tile.in_row + kIn <= s_.in.height &&
                tile.in_column + kIn <= s_.in.width;
  return tile;
}

void WinogradConv2d::TransformWeights(const float* w, bool transposed) {
  const int64_t inputs = s_.in.channels, outputs = s_.out.channels;
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t c = 0; c < inputs; ++c) {
      const float* window = w + (o * inputs + c) * kWindow * kWindow;
      float half[kIn * kWindow], places[kPlaces];
      for (int i = 0; i < kWindow; ++i) {
        ApplyG(window + i, kWindow, half + i, kWindow);
      }
      for (int i = 0; i < kIn; ++i) {
        ApplyG(half + i * kWindow, 1, places + i * kIn, 1);
      }
      float* to =
          weights_.data() + (transposed ? o * inputs + c : c * outputs + o);
      for (int p = 0; p < kPlaces; ++p) to[p * inputs * outputs] = places[p];
    }
  }
}

void WinogradConv2d::TransformInputs(const float* x, int64_t first,
                                     int64_t count, Scratch& scratch) const {
  const int64_t channels = s_.in.channels;
  for (int64_t t = 0; t < count; ++t) {
    const Tile tile = TileAt(first + t);
    for (int64_t c = 0; c < channels; c += kLanes) {
      const Plane plane(s_.in, s_.block, tile.image, c);
      Lanes d[kPlaces], half[kPlaces];
      if (tile.inside) {
        const float* from = x + plane.At(tile.in_row, tile.in_column);
        for (int i = 0; i < kIn; ++i) {
          for (int j = 0; j < kIn; ++j) {
            d[i * kIn + j] = Load(from + (i * s_.in.width + j) * s_.block);
          }
        }
      } else {
        for (int i = 0; i < kIn; ++i) {
          for (int j = 0; j < kIn; ++j) {
            const int64_t row = tile.in_row + i, column = tile.in_column + j;
            d[i * kIn + j] = IsInside(s_.in, row, column)
                                 ? Load(x + plane.At(row, column))
                                 : Lanes{};
          }
        }
      }
      for (int j = 0; j < kIn; ++j) ApplyBt(d + j, kIn, half + j, kIn);
      float* out = scratch.inputs.data() + t * channels + c;
      for (int i = 0; i < kIn; ++i) {
        Lanes places[kIn];
        ApplyBt(half + i * kIn, 1, places, 1);
        for (int j = 0; j < kIn; ++j) {
          Store(places[j], out + (i * kIn + j) * count * channels);
        }
      }
    }
  }
}

void WinogradConv2d::WriteOutputs(const Scratch& scratch, const float* b,
                                  int64_t first, int64_t count,
                                  float* y) const {
  const int64_t channels = s_.out.channels;
  for (int64_t t = 0; t < count; ++t) {
    const Tile tile = TileAt(first + t);
    for (int64_t o = 0; o < channels; o += kLanes) {
      const Plane plane(s_.out, kLanes, tile.image, o);
      const float* in = scratch.products.data() + t * channels + o;
      Lanes half[kOut * kIn], out[kOut * kOut];
      for (int j = 0; j < kIn; ++j) {
        Lanes m[kIn];
        for (int i = 0; i < kIn; ++i) {
          m[i] = Load(in + (i * kIn + j) * count * channels);
        }
        ApplyAt(m, 1, half + j, kIn);
      }
      for (int i = 0; i < kOut; ++i)
        ApplyAt(half + i * kIn, 1, out + i * kOut, 1);
      const Lanes bias = Load(b + o);
      for (int64_t i = 0; i < tile.rows; ++i) {
        float* row = y + plane.At(tile.row + i, tile.column);
        for (int64_t j = 0; j < tile.columns; ++j) {
          Lanes value = out[i * kOut + j] + bias;
          if (s_.relu) value = value > 0 ? value : Lanes{};
          Store(value, row + j * kLanes);
        }
      }
    }
  }
}

void WinogradConv2d::TransformGradients(const float* y, const float* dy,
                                        int64_t first, int64_t count,
                                        Scratch& scratch) const {
  const int64_t channels = s_.out.channels;
  for (int64_t t = 0; t < count; ++t) {
    const Tile tile = TileAt(first + t);
    for (int64_t o = 0; o < channels; o += kLanes) {
      const Plane plane(s_.out, kLanes, tile.image, o);
      Lanes g[kOut * kOut] = {}, half[kIn * kOut];
      Lanes bias = Load(scratch.bias.data() + o);
      for (int64_t i = 0; i < tile.rows; ++i) {
        const int64_t at = plane.At(tile.row + i, tile.column);
        for (int64_t j = 0; j < tile.columns; ++j) {
          Lanes value = Load(dy + at + j * kLanes);
          if (s_.relu) {
            value = Load(y + at + j * kLanes) > 0 ? value : Lanes{};
          }
          bias += value;
          g[i * kOut + j] = value;
        }
      }
      Store(bias, scratch.bias.data() + o);
      for (int j = 0; j < kOut; ++j) ApplyA(g + j, kOut, half + j, kOut);
      float* out = scratch.outputs.data() + t * channels + o;
      for (int i = 0; i < kIn; ++i) {
        Lanes places[kIn];
        ApplyA(half + i * kOut, 1, places, 1);
        for (int j = 0; j < kIn; ++j) {
          Store(places[j], out + (i * kIn + j) * count * channels);
        }
      }
    }
  }
}

void WinogradConv2d::AddInputGradients(const Scratch& scratch, int64_t first,
                                       int64_t count, float* dx) const {
  const int64_t channels = s_.in.channels;
  for (int64_t t = 0; t < count; ++t) {
    const Tile tile = TileAt(first + t);
    for (int64_t c = 0; c < channels; c += kLanes) {
      const Plane plane(s_.in, s_.block, tile.image, c);
      const float* in = scratch.products.data() + t * channels + c;
      Lanes half[kPlaces];
      for (int j = 0; j < kIn; ++j) {
        Lanes m[kIn];
        for (int i = 0; i < kIn; ++i) {
          m[i] = Load(in + (i * kIn + j) * count * channels);
        }
        ApplyB(m, 1, half + j, kIn);
      }
      for (int i = 0; i < kIn; ++i) {
        Lanes out[kIn];
        ApplyB(half + i * kIn, 1, out, 1);
        for (int j = 0; j < kIn; ++j) {
          const int64_t row = tile.in_row + i, column = tile.in_column + j;
          if (!tile.inside && !IsInside(s_.in, row, column)) continue;
          float* to = dx + plane.At(row, column);
          Store(Load(to) + out[j], to);
        }
      }
    }
  }
}

int WinogradConv2d::Threads() const {
  return std::min(omp_get_max_threads(), static_cast<int>(scratch_.size()));
}

void WinogradConv2d::ReduceWeightGradients(int threads) {
  Scratch& total = scratch_.front();
  for (int i = 1; i < threads; ++i) {
    const Scratch& part = scratch_[static_cast<size_t>(i)];
    const auto add = [](float& sum, float value) { sum += value; };
    ForEach(add, total.weights, part.weights);
    ForEach(add, total.bias, part.bias);
  }
  const int64_t inputs = s_.in.channels, outputs = s_.out.channels;
  for (int64_t c = 0; c < inputs; ++c) {
    for (int64_t o = 0; o < outputs; ++o) {
      const float* from = total.weights.data() + c * outputs + o;
      float places[kPlaces], half[kWindow * kIn];
      for (int p = 0; p < kPlaces; ++p) places[p] = from[p * inputs * outputs];
      for (int j = 0; j < kIn; ++j) ApplyGt(places + j, kIn, half + j, kIn);
      float* window = dw_.data() + (o * inputs + c) * kWindow * kWindow;
      for (int i = 0; i < kWindow; ++i) {
        ApplyGt(half + i * kIn, 1, window + i * kWindow, 1);
      }
    }
  }
  db_.CopyFrom(total.bias);
}

void WinogradConv2d::Forward(const float* x, const float* w, const float* b,
                             float* y) {
  TransformWeights(w, /*transposed=*/false);
  const int64_t inputs = s_.in.channels, outputs = s_.out.channels;
  const int64_t tiles = s_.batch * rows_ * columns_;
#pragma omp parallel for schedule(static) num_threads(Threads())
  for (int64_t first = 0; first < tiles; first += chunk_) {
    Scratch& scratch = scratch_[static_cast<size_t>(omp_get_thread_num())];
    const int64_t count = std::min(chunk_, tiles - first);
    TransformInputs(x, first, count, scratch);
    for (int64_t p = 0; p < kPlaces; ++p) {
      SmallProduct<false>(
          {scratch.inputs.data() + p * count * inputs, inputs, 1},
          weights_.data() + p * inputs * outputs, count, outputs, inputs,
          scratch.products.data() + p * count * outputs);
    }
    WriteOutputs(scratch, b, first, count, y);
  }
}

void WinogradConv2d::Backward(const float* x, const float* y, const float* w,
                              float* dy, float* dx, const TensorSink& dw,
                              const TensorSink& db) {
  if (dx != nullptr) TransformWeights(w, /*transposed=*/true);
  const int threads = Threads();
  // Each thread has whole images: tiles of one overlap in dx.
#pragma omp parallel for num_threads(threads)
  for (int i = 0; i < threads; ++i) {
    BackwardImages(x, y, dy, s_.batch * i / threads,
                   s_.batch * (i + 1) / threads, dx,
                   scratch_[static_cast<size_t>(i)]);
  }
  ReduceWeightGradients(threads);
  dw.Take(dw_.data(), dw_.size());
  db.Take(db_.data(), db_.size());
}

void WinogradConv2d::BackwardImages(const float* x, const float* y,
                                    const float* dy, int64_t begin, int64_t end,
                                    float* dx, Scratch& scratch) const {
  const auto clear = [](float& value) { value = 0; };
  ForEach(clear, scratch.weights);
  ForEach(clear, scratch.bias);
  if (dx != nullptr) {
    std::fill(dx + begin * s_.in.size(), dx + end * s_.in.size(), 0.0f);
  }
  const int64_t inputs = s_.in.channels, outputs = s_.out.channels;
  const int64_t last = end * rows_ * columns_;
  for (int64_t first = begin * rows_ * columns_; first < last;
       first += chunk_) {
    const int64_t count = std::min(chunk_, last - first);
    TransformInputs(x, first, count, scratch);
    TransformGradients(y, dy, first, count, scratch);
    for (int64_t p = 0; p < kPlaces; ++p) {
      const float* out = scratch.outputs.data() + p * count * outputs;
      SmallProduct<true>(
          {scratch.inputs.data() + p * count * inputs, 1, inputs}, out, inputs,
          outputs, count, scratch.weights.data() + p * inputs * outputs);
      if (dx == nullptr) continue;
      SmallProduct<false>(
          {out, outputs, 1}, weights_.data() + p * inputs * outputs, count,
          inputs, outputs, scratch.products.data() + p * count * inputs);
    }
    if (dx != nullptr) AddInputGradients(scratch, first, count, dx);
  }
}

}  // namespace

bool FitsWinograd(const Conv2dKernel::Spec& s) {
  return s.kernel == kWindow && s.stride == 1 && s.padding < kWindow &&
         s.dilation == 1 && s.groups == 1 && s.block % kLanes == 0 &&
         s.out.channels % kLanes == 0;
}

MadeConv2d MakeWinogradConv2d(const Conv2dKernel::Spec& spec) {
  return std::make_unique<WinogradConv2d>(spec);
}

}  // namespace monsoon
