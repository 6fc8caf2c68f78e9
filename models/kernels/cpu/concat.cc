// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/concat.h"

#include <algorithm>

#include "models/kernels/cpu/blocks.h"

namespace monsoon {
namespace {

class CpuConcat final : public ConcatKernel {
 public:
  explicit CpuConcat(const Spec& spec) : s_(spec), block_(spec.parts[0].block) {
    for (const Part& part : s_.parts) {
      if (part.block != block_) block_ = 1;
      image_ += part.channels * s_.space;
    }
  }

  int64_t output_block() const override { return block_; }

  void Forward(absl::Span<const float* const> x, float* y) override {
    ForParts([&](size_t i, int64_t from, int64_t to) {
      CopyImage(x[i] + from, s_.parts[i].block, s_.parts[i].channels, s_.space,
                y + to, block_);
    });
  }

  void Backward(const float* dy, absl::Span<float* const> dx) override {
    ForParts([&](size_t i, int64_t to, int64_t from) {
      if (dx[i] == nullptr) return;
      CopyImage(dy + from, block_, s_.parts[i].channels, s_.space, dx[i] + to,
                s_.parts[i].block);
    });
  }

 private:
  // fn(i, offset in input i, offset in Y) for the part that each input has in
  // each image of Y.
  template <typename Fn>
  void ForParts(const Fn& fn) const {
#pragma omp parallel for
    for (int64_t n = 0; n < s_.batch; ++n) {
      int64_t at = n * image_;
      for (size_t i = 0; i < s_.parts.size(); ++i) {
        const int64_t size = s_.parts[i].channels * s_.space;
        fn(i, n * size, at);
        at += size;
      }
    }
  }

  const Spec s_;
  int64_t block_;
  int64_t image_ = 0;  // floats of one in Y
};

const RegisterKernel<ConcatKernel, CpuConcat> kRegistered("cpu");

}  // namespace
}  // namespace monsoon
