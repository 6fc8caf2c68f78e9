// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/add.h"

#include <algorithm>

#include "base/flat.h"
#include "models/kernels/cpu/blocks.h"

namespace monsoon {
namespace {

class CpuAdd final : public AddKernel {
 public:
  explicit CpuAdd(const Spec& spec)
      : s_(spec),
        size_(spec.batch * spec.shape.size()),
        reordered_(spec.block == spec.b_block ? 0 : size_) {}

  void Forward(const float* a, const float* b, float* y) override {
    if (!reordered_.empty()) {
      Copy(b, s_.b_block, reordered_.data(), s_.block);
      b = reordered_.data();
    }
#pragma omp parallel for simd
    for (int64_t i = 0; i < size_; ++i) y[i] = a[i] + b[i];
  }

  void Backward(const float* dy, float* da, float* db) override {
    if (db != nullptr) Copy(dy, s_.block, db, s_.b_block);
    if (da != nullptr && da != dy) std::copy_n(dy, size_, da);
  }

 private:
  void Copy(const float* from, int64_t from_block, float* to,
            int64_t to_block) const {
#pragma omp parallel for
    for (int64_t n = 0; n < s_.batch; ++n) {
      const int64_t image = n * s_.shape.size();
      CopyImage(from + image, from_block, s_.shape.channels,
                s_.shape.height * s_.shape.width, to + image, to_block);
    }
  }

  const Spec s_;
  const int64_t size_;
  Flat reordered_;  // B in A's order, where they differ
};

const RegisterKernel<AddKernel, CpuAdd> kRegistered("cpu");

}  // namespace
}  // namespace monsoon
