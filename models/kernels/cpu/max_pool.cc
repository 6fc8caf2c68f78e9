// SPDX-License-Identifier: Apache-2.0
// Max pooling, vectorised over the channels of a block. Written by hand because
// oneDNN's takes several times as long.
#include "models/kernels/max_pool.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/check.h"

namespace monsoon {
namespace {

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
  // One window, `block` channels: x at its first row and column.
  void PickWinners(const float* x, float* y, int32_t* winner) const {
    float best[kBlock];
    int32_t place[kBlock] = {};
    std::copy_n(x, kBlock, best);
    for (int64_t row = 0, k = 0; row < size_; ++row) {
      for (int64_t column = 0; column < size_; ++column, ++k) {
        const float* candidate = x + (row * width_ + column) * kBlock;
        for (int64_t c = 0; c < kBlock; ++c) {
          const bool better = candidate[c] > best[c];
          place[c] = better ? static_cast<int32_t>(k) : place[c];
          best[c] = better ? candidate[c] : best[c];
        }
      }
    }
    std::copy_n(best, kBlock, y);
    std::copy_n(place, kBlock, winner);
  }

  void PayWinners(const float* dy, const int32_t* winner, float* dx) const {
    for (int64_t row = 0, k = 0; row < size_; ++row) {
      for (int64_t column = 0; column < size_; ++column, ++k) {
        float* candidate = dx + (row * width_ + column) * kBlock;
        for (int64_t c = 0; c < kBlock; ++c) {
          candidate[c] = winner[c] == k ? dy[c] : 0;
        }
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

// Chooses the instance for the block.
struct AnyBlock {
  static absl::StatusOr<std::unique_ptr<MaxPoolKernel>> Make(
      const MaxPoolKernel::Spec& s) {
    if (s.block == 16) return std::make_unique<CpuMaxPool<16>>(s);
    if (s.block == 8) return std::make_unique<CpuMaxPool<8>>(s);
    MONSOON_CHECK(s.block == 1, "a block that this device's kernels produce");
    return std::make_unique<CpuMaxPool<1>>(s);
  }
};

const RegisterKernel<MaxPoolKernel, AnyBlock> kRegistered("cpu");

}  // namespace
}  // namespace monsoon
