// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "models/kernels/conv2d.h"
#include "models/kernels/cpu/lanes.h"
#include "models/kernels/cpu/winograd_tiles.h"

// Between the tiles of conv2d_winograd.cc and Y: bias, pooling, ReLU.
namespace monsoon {

inline constexpr int kTileOutputs = 4;  // of a tile, each way

// Windows of 2x2 lie within tiles, so they are reduced in registers; what is
// kept of one is the place of its winner, none where ReLU gives 0.
class WinogradOutputs {
 public:
  explicit WinogradOutputs(const Conv2dKernel::Spec& spec)
      : s_(spec),
        pooled_(spec.pooled()),
        winner_(spec.pool == 1 ? 0 : spec.batch * pooled_.size()) {}

  static bool Fits(int64_t pool) { return pool == 1 || pool == kPool; }

  // A tile's outputs from channel o on, which lack the bias, to Y.
  void Write(const Lanes* out, const Tile& tile, int64_t o, const Lanes& bias,
             float* y) {
    if (s_.pool == 1) {
      WritePlain(out, tile, o, bias, y);
    } else {
      WritePooled(out, tile, o, bias, y);
    }
  }

  // The gradient of those, of dY; zeros outside the image.
  void LoadGradients(const float* y, const float* dy, const Tile& tile,
                     int64_t o, Lanes* g) const {
    if (s_.pool == 1) {
      LoadPlain(y, dy, tile, o, g);
    } else {
      LoadPooled(dy, tile, o, g);
    }
  }

 private:
  static constexpr int kOut = kTileOutputs;
  static constexpr int kPool = 2;
  static constexpr int kWinners = kPool * kPool;  // places in a window
  static constexpr int kAcross = kOut / kPool;    // windows of a tile, each way
  static constexpr int kWindows = kAcross * kAcross;

  // Of place k of a window in a tile.
  static constexpr int Place(int window, int k) {
    const int row = window / kAcross * kPool + k / kPool;
    return row * kOut + window % kAcross * kPool + k % kPool;
  }

  void WritePlain(const Lanes* out, const Tile& tile, int64_t o,
                  const Lanes& bias, float* y) const {
    const Plane plane(s_.out, kLanes, tile.image, o);
    for (int64_t i = 0; i < tile.rows; ++i) {
      float* row = y + plane.At(tile.row + i, tile.column);
      for (int64_t j = 0; j < tile.columns; ++j) {
        Lanes value = out[i * kOut + j] + bias;
        if (s_.relu) value = value > 0 ? value : Lanes{};
        Store(value, row + j * kLanes);
      }
    }
  }

  void WritePooled(const Lanes* out, const Tile& tile, int64_t o,
                   const Lanes& bias, float* y) {
    const Plane plane(pooled_, kLanes, tile.image, o);
#pragma GCC unroll 4
    for (int window = 0; window < kWindows; ++window) {
      const int64_t row = tile.row / kPool + window / kAcross;
      const int64_t column = tile.column / kPool + window % kAcross;
      if (!tile.inside && !IsInside(pooled_, row, column)) continue;
      Lanes best = out[Place(window, 0)];
      LaneInts winner{};
#pragma GCC unroll 4
      for (int k = 1; k < kWinners; ++k) {
        const Lanes& next = out[Place(window, k)];
        winner = next > best ? LaneInts{} + k : winner;
        best = next > best ? next : best;
      }
      best += bias;
      if (s_.relu) {
        winner = best > 0 ? winner : LaneInts{} + kWinners;
        best = best > 0 ? best : Lanes{};
      }
      Store(best, y + plane.At(row, column));
      StoreBytes(winner, winner_.data() + plane.At(row, column));
    }
  }

  void LoadPlain(const float* y, const float* dy, const Tile& tile, int64_t o,
                 Lanes* g) const {
    const Plane plane(s_.out, kLanes, tile.image, o);
    Lanes copy[kOut * kOut];
    const TileView from =
        ViewTile<kOut>(dy, plane, tile.row, tile.column, tile.inside, copy);
    EachPlace([&](int i, int j) {
      g[i * kOut + j] = from.at[i * from.row + j * from.column];
    });
    if (!s_.relu) return;
    const TileView out =
        ViewTile<kOut>(y, plane, tile.row, tile.column, tile.inside, copy);
    EachPlace([&](int i, int j) {
      Lanes& value = g[i * kOut + j];
      value = out.at[i * out.row + j * out.column] > 0 ? value : Lanes{};
    });
  }

  template <typename Fn>
  static void EachPlace(Fn fn) {
#pragma GCC unroll 4
    for (int i = 0; i < kOut; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kOut; ++j) fn(i, j);
    }
  }

  void LoadPooled(const float* dy, const Tile& tile, int64_t o,
                  Lanes* g) const {
    const Plane plane(pooled_, kLanes, tile.image, o);
#pragma GCC unroll 4
    for (int window = 0; window < kWindows; ++window) {
      const int64_t row = tile.row / kPool + window / kAcross;
      const int64_t column = tile.column / kPool + window % kAcross;
      Lanes gradient{};
      LaneInts winner{};
      if (tile.inside || IsInside(pooled_, row, column)) {
        gradient = Load(dy + plane.At(row, column));
        winner = LoadBytes(winner_.data() + plane.At(row, column));
      }
#pragma GCC unroll 4
      for (int k = 0; k < kWinners; ++k) {
        g[Place(window, k)] = winner == k ? gradient : Lanes{};
      }
    }
  }

  const Conv2dKernel::Spec s_;
  const Shape pooled_;  // of Y
  // Like Y where that is pooled: the place in the window, or kWinners.
  std::vector<uint8_t> winner_;
};

}  // namespace monsoon
