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
#include "models/kernels/cpu/winograd_matrices.h"
#include "models/kernels/cpu/winograd_outputs.h"
#include "models/kernels/cpu/winograd_tiles.h"

namespace monsoon {
namespace {

constexpr int kIn = 6;  // inputs of a tile, each way
constexpr int kOut = kTileOutputs;
constexpr int kPlaces = kIn * kIn;
constexpr int kWindow = 3;
constexpr int kOverlap = kIn - kOut;  // of neighbours' inputs
// What a chunk's transformed inputs and outputs may take of the second-level
// cache, which has the weights as well.
constexpr int64_t kChunkBytes = 224 << 10;

// One thread's chunk of tiles and its sums. Channels lie in groups of eight,
// [36, channels / 8, tiles, 8], so that every loop runs through memory in
// order.
struct Scratch {
  std::vector<Tile> tiles;
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
  int Threads() const;
  // Makes the tiles [first, last), at most a chunk, those of `scratch`.
  void TakeTiles(int64_t first, int64_t last, Scratch& scratch) const;
  // Into weights_, for products with inputs, or with gradients of outputs.
  void TransformWeights(const float* w, bool transposed);
  void TransformInputs(const float* x, Scratch& scratch) const;
  void TransformGradients(const float* y, const float* dy,
                          Scratch& scratch) const;
  // products = from * weights_, `from` with as many channels as `depth`.
  void MultiplyByWeights(const Flat& from, int64_t depth, int64_t columns,
                         Scratch& scratch) const;
  void AddWeightGradients(Scratch& scratch) const;
  void WriteOutputs(const Scratch& scratch, const float* b, float* y);
  void AddInputGradients(const Scratch& scratch, float* dx) const;
  // Backward of the images [begin, end).
  void BackwardImages(const float* x, const float* y, const float* dy,
                      int64_t begin, int64_t end, float* dx,
                      Scratch& scratch) const;
  void ReduceWeightGradients(int threads);

  const Spec s_;
  const int64_t rows_, columns_;  // of tiles in an image
  const int64_t chunk_;           // tiles done at a time
  Flat weights_;  // [36, O / 8, C, 8], or [36, C / 8, O, 8] transposed
  std::vector<Scratch> scratch_;  // [thread]
  Flat dw_, db_;
  WinogradOutputs outputs_;
};

int64_t TilesInChunk(const Conv2dKernel::Spec& spec) {
  const int64_t bytes =
      kPlaces * (spec.in.channels + spec.out.channels) * int64_t{sizeof(float)};
  // Six rows of a product are done at a time.
  return std::max<int64_t>(1, kChunkBytes / bytes / 6) * 6;
}

WinogradConv2d::WinogradConv2d(const Spec& spec)
    : s_(spec),
      rows_((spec.out.height + kOut - 1) / kOut),
      columns_((spec.out.width + kOut - 1) / kOut),
      chunk_(TilesInChunk(spec)),
      weights_(kPlaces * spec.in.channels * spec.out.channels),
      scratch_(static_cast<size_t>(omp_get_max_threads())),
      dw_(spec.out.channels * spec.in.channels * kWindow * kWindow),
      db_(spec.out.channels),
      outputs_(spec) {
  for (Scratch& scratch : scratch_) {
    const int64_t most = std::max(s_.in.channels, s_.out.channels);
    scratch.tiles.reserve(static_cast<size_t>(chunk_));
    scratch.inputs = Flat(kPlaces * chunk_ * s_.in.channels);
    scratch.outputs = Flat(kPlaces * chunk_ * s_.out.channels);
    scratch.products = Flat(kPlaces * chunk_ * most);
    scratch.weights = Flat(weights_.size());
    scratch.bias = Flat(s_.out.channels);
  }
}

int WinogradConv2d::Threads() const {
  return std::min(omp_get_max_threads(), static_cast<int>(scratch_.size()));
}

void WinogradConv2d::TakeTiles(int64_t first, int64_t last,
                               Scratch& scratch) const {
  scratch.tiles.clear();
  for (int64_t index = first; index < last; ++index) {
    Tile tile{};
    tile.image = index / (rows_ * columns_);
    tile.row = index / columns_ % rows_ * kOut;
    tile.column = index % columns_ * kOut;
    tile.rows = std::min<int64_t>(kOut, s_.out.height - tile.row);
    tile.columns = std::min<int64_t>(kOut, s_.out.width - tile.column);
    tile.in_row = tile.row - s_.padding;
    tile.in_column = tile.column - s_.padding;
    tile.inside = tile.rows == kOut && tile.columns == kOut &&
                  tile.in_row >= 0 && tile.in_column >= 0 &&
                  tile.in_row + kIn <= s_.in.height &&
                  tile.in_column + kIn <= s_.in.width;
    scratch.tiles.push_back(tile);
  }
}

void WinogradConv2d::TransformWeights(const float* w, bool transposed) {
  const int64_t inputs = s_.in.channels, outputs = s_.out.channels;
  constexpr int64_t kTaps = kWindow * kWindow;
  // Eight columns of the products at once.
  const int64_t columns = transposed ? inputs : outputs;
  const int64_t depth = transposed ? outputs : inputs;
  const int64_t column_stride = (transposed ? 1 : inputs) * kTaps;
  const int64_t depth_stride = (transposed ? inputs : 1) * kTaps;
  for (int64_t column = 0; column < columns; column += kLanes) {
    for (int64_t k = 0; k < depth; ++k) {
      const float* from = w + column * column_stride + k * depth_stride;
      Lanes window[kTaps], half[kIn * kWindow], places[kPlaces];
      for (int64_t tap = 0; tap < kTaps; ++tap) {
        for (int64_t lane = 0; lane < kLanes; ++lane) {
          window[tap][lane] = from[lane * column_stride + tap];
        }
      }
      for (int i = 0; i < kWindow; ++i) {
        ApplyG(window + i, kWindow, half + i, kWindow);
      }
      for (int i = 0; i < kIn; ++i) {
        ApplyG(half + i * kWindow, 1, places + i * kIn, 1);
      }
      float* to = weights_.data() + column * depth + k * kLanes;
      for (int p = 0; p < kPlaces; ++p) {
        Store(places[p], to + p * inputs * outputs);
      }
    }
  }
}

void WinogradConv2d::TransformInputs(const float* x, Scratch& scratch) const {
  const auto count = static_cast<int64_t>(scratch.tiles.size());
  const int64_t place = count * s_.in.channels;
  float* to = scratch.inputs.data();
  for (int64_t c = 0; c < s_.in.channels; c += kLanes) {
    for (const Tile& tile : scratch.tiles) {
      const Plane plane(s_.in, s_.block, tile.image, c);
      Lanes copy[kPlaces], half[kPlaces];
      const TileView d = ViewTile<kIn>(x, plane, tile.in_row, tile.in_column,
                                       tile.inside, copy);
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) {
        ApplyBt(d.at + j * d.column, d.row, half + j, kIn);
      }
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) {
        Lanes places[kIn];
        ApplyBt(half + i * kIn, 1, places, 1);
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) {
          Store(places[j], to + (i * kIn + j) * place);
        }
      }
      to += kLanes;
    }
  }
}

void WinogradConv2d::TransformGradients(const float* y, const float* dy,
                                        Scratch& scratch) const {
  const auto count = static_cast<int64_t>(scratch.tiles.size());
  const int64_t place = count * s_.out.channels;
  float* to = scratch.outputs.data();
  for (int64_t o = 0; o < s_.out.channels; o += kLanes) {
    Lanes bias = Load(scratch.bias.data() + o);
    for (const Tile& tile : scratch.tiles) {
      Lanes g[kOut * kOut], half[kIn * kOut];
      outputs_.LoadGradients(y, dy, tile, o, g);
#pragma GCC unroll 16
      for (const Lanes& value : g) bias += value;
#pragma GCC unroll 6
      for (int j = 0; j < kOut; ++j) ApplyA(g + j, kOut, half + j, kOut);
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) {
        Lanes places[kIn];
        ApplyA(half + i * kOut, 1, places, 1);
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) {
          Store(places[j], to + (i * kIn + j) * place);
        }
      }
      to += kLanes;
    }
    Store(bias, scratch.bias.data() + o);
  }
}

void WinogradConv2d::MultiplyByWeights(const Flat& from, int64_t depth,
                                       int64_t columns,
                                       Scratch& scratch) const {
  const auto count = static_cast<int64_t>(scratch.tiles.size());
  for (int64_t p = 0; p < kPlaces; ++p) {
    int64_t column = 0;
    const auto view = [&] {
      return ProductView{
          .a = from.data() + p * count * depth,
          .a_row = kLanes,
          .a_group = count * kLanes,
          .b = weights_.data() + (p * columns + column) * depth,
          .b_depth = kLanes,
          .b_vector = depth * kLanes,
          .c = scratch.products.data() + (p * columns + column) * count,
          .c_row = kLanes,
          .c_vector = count * kLanes};
    };
    for (; column + 2 * kLanes <= columns; column += 2 * kLanes) {
      ProductRows<2, kLanes, 1, false>(view(), count, depth / kLanes);
    }
    if (column < columns) {
      ProductRows<1, kLanes, 1, false>(view(), count, depth / kLanes);
    }
  }
}

void WinogradConv2d::AddWeightGradients(Scratch& scratch) const {
  const auto count = static_cast<int64_t>(scratch.tiles.size());
  const int64_t inputs = s_.in.channels, outputs = s_.out.channels;
  constexpr int kRows = 4;
  for (int64_t p = 0; p < kPlaces; ++p) {
    for (int64_t c = 0; c < inputs; c += kRows) {
      int64_t o = 0;
      const auto view = [&] {
        return ProductView{
            .a = scratch.inputs.data() +
                 (p * inputs + c / kLanes * kLanes) * count + c % kLanes,
            .a_row = 1,
            .a_group = kLanes,
            .b = scratch.outputs.data() + (p * outputs + o) * count,
            .b_depth = kLanes,
            .b_vector = count * kLanes,
            .c = scratch.weights.data() + (p * inputs + c) * outputs + o,
            .c_row = outputs,
            .c_vector = kLanes};
      };
      for (; o + 2 * kLanes <= outputs; o += 2 * kLanes) {
        ProductBlock<kRows, 2, 1, 1, true>(view(), count);
      }
      if (o < outputs) ProductBlock<kRows, 1, 1, 1, true>(view(), count);
    }
  }
}

void WinogradConv2d::WriteOutputs(const Scratch& scratch, const float* b,
                                  float* y) {
  const auto count = static_cast<int64_t>(scratch.tiles.size());
  const int64_t place = count * s_.out.channels;
  const float* from = scratch.products.data();
  for (int64_t o = 0; o < s_.out.channels; o += kLanes) {
    const Lanes bias = Load(b + o);
    for (const Tile& tile : scratch.tiles) {
      Lanes half[kOut * kIn], out[kOut * kOut];
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) {
        Lanes m[kIn];
#pragma GCC unroll 6
        for (int i = 0; i < kIn; ++i) m[i] = Load(from + (i * kIn + j) * place);
        ApplyAt(m, 1, half + j, kIn);
      }
#pragma GCC unroll 6
      for (int i = 0; i < kOut; ++i) {
        ApplyAt(half + i * kIn, 1, out + i * kOut, 1);
      }
      outputs_.Write(out, tile, o, bias, y);
      from += kLanes;
    }
  }
}

void WinogradConv2d::AddInputGradients(const Scratch& scratch,
                                       float* dx) const {
  const auto count = static_cast<int64_t>(scratch.tiles.size());
  const int64_t place = count * s_.in.channels;
  const float* from = scratch.products.data();
  for (int64_t c = 0; c < s_.in.channels; c += kLanes) {
    for (const Tile& tile : scratch.tiles) {
      const Plane plane(s_.in, s_.block, tile.image, c);
      // The tiles before this one have been here; nobody else has.
      const bool above = tile.row > 0, left = tile.column > 0;
      Lanes half[kPlaces];
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) {
        Lanes m[kIn];
#pragma GCC unroll 6
        for (int i = 0; i < kIn; ++i) m[i] = Load(from + (i * kIn + j) * place);
        ApplyB(m, 1, half + j, kIn);
      }
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) {
        Lanes out[kIn];
        ApplyB(half + i * kIn, 1, out, 1);
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) {
          const int64_t row = tile.in_row + i, column = tile.in_column + j;
          if (!tile.inside && !IsInside(s_.in, row, column)) continue;
          float* to = dx + plane.At(row, column);
          const bool is_first =
              !(above && i < kOverlap) && !(left && j < kOverlap);
          Store(is_first ? out[j] : Load(to) + out[j], to);
        }
      }
      from += kLanes;
    }
  }
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
  constexpr int64_t kTaps = kWindow * kWindow;
  for (int64_t c = 0; c < inputs; ++c) {
    for (int64_t o = 0; o < outputs; o += kLanes) {
      const float* from = total.weights.data() + c * outputs + o;
      Lanes places[kPlaces], half[kWindow * kIn], window[kTaps];
      for (int p = 0; p < kPlaces; ++p) {
        places[p] = Load(from + p * inputs * outputs);
      }
      for (int j = 0; j < kIn; ++j) ApplyGt(places + j, kIn, half + j, kIn);
      for (int i = 0; i < kWindow; ++i) {
        ApplyGt(half + i * kIn, 1, window + i * kWindow, 1);
      }
      float* to = dw_.data() + (o * inputs + c) * kTaps;
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        for (int64_t tap = 0; tap < kTaps; ++tap) {
          to[lane * inputs * kTaps + tap] = window[tap][lane];
        }
      }
    }
  }
  db_.CopyFrom(total.bias);
}

void WinogradConv2d::Forward(const float* x, const float* w, const float* b,
                             float* y) {
  TransformWeights(w, /*transposed=*/false);
  const int64_t tiles = s_.batch * rows_ * columns_;
#pragma omp parallel for schedule(static) num_threads(Threads())
  for (int64_t first = 0; first < tiles; first += chunk_) {
    Scratch& scratch = scratch_[static_cast<size_t>(omp_get_thread_num())];
    TakeTiles(first, std::min(first + chunk_, tiles), scratch);
    TransformInputs(x, scratch);
    MultiplyByWeights(scratch.inputs, s_.in.channels, s_.out.channels, scratch);
    WriteOutputs(scratch, b, y);
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
  const int64_t last = end * rows_ * columns_;
  for (int64_t first = begin * rows_ * columns_; first < last;
       first += chunk_) {
    TakeTiles(first, std::min(first + chunk_, last), scratch);
    TransformInputs(x, scratch);
    TransformGradients(y, dy, scratch);
    AddWeightGradients(scratch);
    if (dx == nullptr) continue;
    MultiplyByWeights(scratch.outputs, s_.out.channels, s_.in.channels,
                      scratch);
    AddInputGradients(scratch, dx);
  }
}

}  // namespace

bool FitsWinograd(const Conv2dKernel::Spec& s) {
  return s.kernel == kWindow && s.stride == 1 && s.padding < kWindow &&
         s.dilation == 1 && s.groups == 1 && WinogradOutputs::Fits(s.pool) &&
         s.block % kLanes == 0 && s.out.channels % kLanes == 0;
}

MadeConv2d MakeWinogradConv2d(const Conv2dKernel::Spec& spec) {
  return std::make_unique<WinogradConv2d>(spec);
}

}  // namespace monsoon
