// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/cpu/lanes.h"
#include "models/shape.h"

// How conv2d_winograd.cc walks over images.
namespace monsoon {

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
  int64_t size() const { return shape.height * shape.width * block; }
  const Shape& shape;
  int64_t block, offset;
};

inline bool IsInside(const Shape& shape, int64_t row, int64_t column) {
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

// Vectors at places of a tile, by the distances of its rows and columns.
struct TileView {
  const Lanes* at;
  int64_t row, column;
};

// kSize rows and columns of a tensor in blocks: where they lie; or, where some
// lie outside of the image, their copy in `copy` [kSize, kSize], zeros there.
// Asks for the same of the next channels, which are too far away for the
// processor to see coming. REQUIRES: data lies as a Flat's does, whose blocks
// are whole Lanes.
template <int kSize>
inline TileView ViewTile(const float* data, const Plane& plane, int64_t row,
                         int64_t column, bool inside, Lanes* copy) {
  if (inside) {
    const int64_t width = plane.shape.width * plane.block;
    const float* from = data + plane.At(row, column);
    const float* ahead = from + plane.size();
    for (int i = 0; i < kSize; ++i, ahead += width) {
      for (int j = 0; j < kSize; j += 2) {
        __builtin_prefetch(ahead + j * plane.block);
      }
    }
    return {reinterpret_cast<const Lanes*>(from), width / kLanes,
            plane.block / kLanes};
  }
  for (int i = 0; i < kSize; ++i) {
    for (int j = 0; j < kSize; ++j) {
      copy[i * kSize + j] = IsInside(plane.shape, row + i, column + j)
                                ? Load(data + plane.At(row + i, column + j))
                                : Lanes{};
    }
  }
  return {copy, kSize, 1};
}

}  // namespace monsoon
