// SPDX-License-Identifier: Apache-2.0
// Max pooling, vectorised over the channels of a block. Written by hand because
// oneDNN's takes several times as long.
#include "models/kernels/max_pool.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "models/kernels/cpu/blocks.h"

namespace monsoon {
namespace {

// The channels of a block, computed on at once; a single one where channels
// are not in blocks. (GCC 12 ignores a vector_size that a template decides.)
template <int64_t kBlock>
struct Lanes;
template <>
struct Lanes<1> {
  using Floats = float;
  using Ints = int32_t;
};
template <>
struct Lanes<8> {
  using Floats = float __attribute__((vector_size(32)));
  using Ints = int32_t __attribute__((vector_size(32)));
};
template <>
struct Lanes<16> {
  using Floats = float __attribute__((vector_size(64)));
  using Ints = int32_t __attribute__((vector_size(64)));
};

template <typename Element, typename Value>
void Load(const Element* from, Value& to) {
  std::memcpy(&to, from, sizeof to);
}

// The block is a constant so that a window is reduced in registers.
template <int64_t kBlock>
class CpuMaxPool final : public MaxPoolKernel {
 public:
  explicit CpuMaxPool(const Spec& s)
      : height_(s.in.height),
        width_(s.in.width),
        size_(s.size),
        out_height_(s.in.height / s.size),
        out_width_(s.in.width / s.size),
        planes_(s.batch * s.in.channels / s.block),
        winner_(planes_ * out_height_ * out_width_ * kBlock) {}

  void Forward(const float* x, float* y) override {
#pragma omp parallel for
    for (int64_t p = 0; p < planes_; ++p) {
      const float* plane = x + p * height_ * width_ * kBlock;
      int64_t at = p * out_height_ * out_width_ * kBlock;
      for (int64_t oy = 0; oy < out_height_; ++oy) {
        for (int64_t ox = 0; ox < out_width_; ++ox, at += kBlock) {
          PickWinners(plane + (oy * width_ + ox) * size_ * kBlock, y + at,
                      winner_.data() + at);
        }
      }
    }
  }

  void Backward(const float* dy, float* dx) override {
#pragma omp parallel for
    for (int64_t p = 0; p < planes_; ++p) {
      float* plane = dx + p * height_ * width_ * kBlock;
      ClearDroppedEdges(plane);
      int64_t at = p * out_height_ * out_width_ * kBlock;
      for (int64_t oy = 0; oy < out_height_; ++oy) {
        for (int64_t ox = 0; ox < out_width_; ++ox, at += kBlock) {
          PayWinners(dy + at, winner_.data() + at,
                     plane + (oy * width_ + ox) * size_ * kBlock);
        }
      }
    }
  }

 private:
  using Floats = typename Lanes<kBlock>::Floats;
  using Ints = typename Lanes<kBlock>::Ints;
  static_assert(sizeof(Floats) == kBlock * sizeof(float));

  // One window, `block` channels: x at its first row and column.
  void PickWinners(const float* x, float* y, int32_t* winner) const {
    Floats best, candidate;
    Load(x, best);
    Ints place = {};
    int32_t k = 0;
    for (int64_t row = 0; row < size_; ++row) {
      for (int64_t column = 0; column < size_; ++column, ++k) {
        Load(x + (row * width_ + column) * kBlock, candidate);
        place = candidate > best ? Ints{} + k : place;
        best = candidate > best ? candidate : best;
      }
    }
    std::memcpy(y, &best, sizeof best);
    std::memcpy(winner, &place, sizeof place);
  }

  void PayWinners(const float* dy, const int32_t* winner, float* dx) const {
    Floats gradient;
    Ints place;
    Load(dy, gradient);
    Load(winner, place);
    int32_t k = 0;
    for (int64_t row = 0; row < size_; ++row) {
      for (int64_t column = 0; column < size_; ++column, ++k) {
        const Floats paid = place == k ? gradient : Floats{};
        std::memcpy(dx + (row * width_ + column) * kBlock, &paid, sizeof paid);
      }
    }
  }

  // Rows and columns that belong to no window.
  void ClearDroppedEdges(float* plane) const {
    const int64_t used_columns = out_width_ * size_;
    const int64_t used_rows = out_height_ * size_;
    if (used_columns < width_) {
      for (int64_t row = 0; row < used_rows; ++row) {
        std::fill(plane + (row * width_ + used_columns) * kBlock,
                  plane + (row + 1) * width_ * kBlock, 0.0f);
      }
    }
    std::fill(plane + used_rows * width_ * kBlock,
              plane + height_ * width_ * kBlock, 0.0f);
  }

  int64_t height_, width_, size_, out_height_, out_width_;
  int64_t planes_;               // N * C / block
  std::vector<int32_t> winner_;  // like Y: the place in its window
};

const RegisterKernel<MaxPoolKernel, ForBlock<MaxPoolKernel, CpuMaxPool>>
    kRegistered("cpu");

}  // namespace
}  // namespace monsoon
