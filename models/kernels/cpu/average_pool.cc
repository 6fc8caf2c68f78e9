// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/average_pool.h"

#include <algorithm>
#include <memory>

#include "models/kernels/cpu/blocks.h"

namespace monsoon {
namespace {

// The block is a constant so that a window is summed up in registers.
template <int64_t kBlock>
class CpuAveragePool final : public AveragePoolKernel {
 public:
  explicit CpuAveragePool(const Spec& s)
      : s_(s),
        planes_(s.batch * s.in.channels / s.block),
        rows_(s.in.height / s.height),
        columns_(s.in.width / s.width),
        share_(1 / static_cast<float>(s.height * s.width)) {}

  void Forward(const float* x, float* y) override {
#pragma omp parallel for
    for (int64_t p = 0; p < planes_; ++p) {
      float* to = y + p * rows_ * columns_ * kBlock;
      for (int64_t row = 0; row < rows_; ++row) {
        for (int64_t column = 0; column < columns_; ++column, to += kBlock) {
          Average(x + WindowAt(p, row, column), to);
        }
      }
    }
  }

  void Backward(const float* dy, float* dx) override {
    const int64_t plane = s_.in.height * s_.in.width * kBlock;
    const bool drops_edges =
        rows_ * s_.height < s_.in.height || columns_ * s_.width < s_.in.width;
#pragma omp parallel for
    for (int64_t p = 0; p < planes_; ++p) {
      if (drops_edges) std::fill_n(dx + p * plane, plane, 0.0f);
      const float* from = dy + p * rows_ * columns_ * kBlock;
      for (int64_t row = 0; row < rows_; ++row) {
        for (int64_t column = 0; column < columns_; ++column, from += kBlock) {
          Spread(from, dx + WindowAt(p, row, column));
        }
      }
    }
  }

 private:
  int64_t WindowAt(int64_t plane, int64_t row, int64_t column) const {
    return ((plane * s_.in.height + row * s_.height) * s_.in.width +
            column * s_.width) *
           kBlock;
  }

  void Average(const float* window, float* to) const {
    float sums[kBlock] = {};
    for (int64_t row = 0; row < s_.height; ++row) {
      const float* from = window + row * s_.in.width * kBlock;
      for (int64_t column = 0; column < s_.width; ++column, from += kBlock) {
        for (int64_t c = 0; c < kBlock; ++c) sums[c] += from[c];
      }
    }
    for (int64_t c = 0; c < kBlock; ++c) to[c] = sums[c] * share_;
  }

  void Spread(const float* from, float* window) const {
    float shares[kBlock];
    for (int64_t c = 0; c < kBlock; ++c) shares[c] = from[c] * share_;
    for (int64_t row = 0; row < s_.height; ++row) {
      float* to = window + row * s_.in.width * kBlock;
      for (int64_t column = 0; column < s_.width; ++column, to += kBlock) {
        std::copy_n(shares, kBlock, to);
      }
    }
  }

  const Spec s_;
  const int64_t planes_;  // N * C / block
  const int64_t rows_, columns_;
  const float share_;
};

const RegisterKernel<AveragePoolKernel,
                     ForBlock<AveragePoolKernel, CpuAveragePool>>
    kRegistered("cpu");

}  // namespace
}  // namespace monsoon
