// SPDX-License-Identifier: Apache-2.0
// Max pooling, vectorised over the channels of a block. Written by hand because
// oneDNN's takes three times as long.
#include "models/kernels/max_pool.h"

#include <algorithm>
#include <vector>

namespace monsoon {
namespace {

class CpuMaxPool final : public MaxPoolKernel {
 public:
  explicit CpuMaxPool(const Spec& s)
      : height_(s.in.height),
        width_(s.in.width),
        block_(s.block),
        size_(s.size),
        out_height_(s.in.height / s.size),
        out_width_(s.in.width / s.size),
        planes_(s.batch * s.in.channels / s.block),
        winner_(planes_ * out_height_ * out_width_ * block_) {}

  void Forward(const float* x, float* y) override {
#pragma omp parallel for
    for (int64_t p = 0; p < planes_; ++p) {
      const float* plane = x + p * height_ * width_ * block_;
      int64_t at = p * out_height_ * out_width_ * block_;
      for (int64_t oy = 0; oy < out_height_; ++oy) {
        for (int64_t ox = 0; ox < out_width_; ++ox, at += block_) {
          PickWinners(plane + (oy * width_ + ox) * size_ * block_, y + at,
                      winner_.data() + at);
        }
      }
    }
  }

  void Backward(const float* dy, float* dx) override {
#pragma omp parallel for
    for (int64_t p = 0; p < planes_; ++p) {
      float* plane = dx + p * height_ * width_ * block_;
      ClearDroppedEdges(plane);
      int64_t at = p * out_height_ * out_width_ * block_;
      for (int64_t oy = 0; oy < out_height_; ++oy) {
        for (int64_t ox = 0; ox < out_width_; ++ox, at += block_) {
          PayWinners(dy + at, winner_.data() + at,
                     plane + (oy * width_ + ox) * size_ * block_);
        }
      }
    }
  }

 private:
  // One window, `block` channels: x at its first row and column.
  void PickWinners(const float* x, float* y, int32_t* winner) const {
    std::copy_n(x, block_, y);
    std::fill_n(winner, block_, 0);
    for (int64_t k = 1; k < size_ * size_; ++k) {
      const float* candidate = x + Step(k);
#pragma omp simd
      for (int64_t c = 0; c < block_; ++c) {
        const bool better = candidate[c] > y[c];
        winner[c] = better ? static_cast<int32_t>(k) : winner[c];
        y[c] = better ? candidate[c] : y[c];
      }
    }
  }

  void PayWinners(const float* dy, const int32_t* winner, float* dx) const {
    for (int64_t k = 0; k < size_ * size_; ++k) {
      float* candidate = dx + Step(k);
#pragma omp simd
      for (int64_t c = 0; c < block_; ++c) {
        candidate[c] = winner[c] == k ? dy[c] : 0;
      }
    }
  }

  // Rows and columns that belong to no window.
  void ClearDroppedEdges(float* plane) const {
    const int64_t used_columns = out_width_ * size_;
    const int64_t used_rows = out_height_ * size_;
    if (used_columns < width_) {
      for (int64_t row = 0; row < used_rows; ++row) {
        std::fill(plane + (row * width_ + used_columns) * block_,
                  plane + (row + 1) * width_ * block_, 0.0f);
      }
    }
    std::fill(plane + used_rows * width_ * block_,
              plane + height_ * width_ * block_, 0.0f);
  }

  // From a window's first place to its k-th, in floats.
  int64_t Step(int64_t k) const {
    return (k / size_ * width_ + k % size_) * block_;
  }

  int64_t height_, width_, block_, size_, out_height_, out_width_;
  int64_t planes_;               // N * C / block
  std::vector<int32_t> winner_;  // like Y: the place in its window
};

const RegisterKernel<MaxPoolKernel, CpuMaxPool> registered("cpu");

}  // namespace
}  // namespace monsoon
