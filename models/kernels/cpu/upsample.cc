// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/upsample.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "models/kernels/cpu/blocks.h"
#include "models/kernels/upsample_taps.h"

namespace monsoon {
namespace {

// The block is a constant so that a pixel's channels stay in registers.
template <int64_t kBlock>
class CpuUpsample final : public UpsampleKernel {
 public:
  explicit CpuUpsample(const Spec& s)
      : width_(s.in.width),
        planes_(s.batch * s.in.channels / s.block),
        plane_(s.in.height * s.in.width * kBlock),
        out_height_(s.in.height * s.scale),
        out_width_(s.in.width * s.scale),
        count_(s.bilinear ? 2 : 1),
        rows_(TapsOf(s.in.height, s.scale, s.bilinear)),
        columns_(TapsOf(s.in.width, s.scale, s.bilinear)) {}

  void Forward(const float* x, float* y) override {
#pragma omp parallel for
    for (int64_t p = 0; p < planes_; ++p) {
      const float* from = x + p * plane_;
      float* to = y + p * out_height_ * out_width_ * kBlock;
      for (int64_t h = 0; h < out_height_; ++h) {
        for (int64_t w = 0; w < out_width_; ++w, to += kBlock) {
          float sums[kBlock] = {};
          ForTaps(h, w, [&](int64_t at, float weight) {
            for (int64_t c = 0; c < kBlock; ++c) {
              sums[c] += weight * from[at + c];
            }
          });
          std::copy_n(sums, kBlock, to);
        }
      }
    }
  }

  void Backward(const float* dy, float* dx) override {
#pragma omp parallel for
    for (int64_t p = 0; p < planes_; ++p) {
      float* to = dx + p * plane_;
      std::fill_n(to, plane_, 0.0f);
      const float* from = dy + p * out_height_ * out_width_ * kBlock;
      for (int64_t h = 0; h < out_height_; ++h) {
        for (int64_t w = 0; w < out_width_; ++w, from += kBlock) {
          ForTaps(h, w, [&](int64_t at, float weight) {
            for (int64_t c = 0; c < kBlock; ++c) {
              to[at + c] += weight * from[c];
            }
          });
        }
      }
    }
  }

 private:
  // fn(offset in a plane of X, weight) for all that (h, w) of Y is made from.
  template <typename Fn>
  void ForTaps(int64_t h, int64_t w, const Fn& fn) const {
    for (int64_t i = h * count_; i < (h + 1) * count_; ++i) {
      for (int64_t j = w * count_; j < (w + 1) * count_; ++j) {
        fn((rows_[i].index * width_ + columns_[j].index) * kBlock,
           rows_[i].weight * columns_[j].weight);
      }
    }
  }

  const int64_t width_;
  const int64_t planes_;  // N * C / block
  const int64_t plane_;   // floats of one in X
  const int64_t out_height_, out_width_;
  const int64_t count_;  // taps for each row or column of Y
  const std::vector<Tap> rows_, columns_;
};

const RegisterKernel<UpsampleKernel, ForBlock<UpsampleKernel, CpuUpsample>>
    kRegistered("cpu");

}  // namespace
}  // namespace monsoon
