// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/dropout.h"

#include <cmath>

#include "models/kernels/dropout_draw.h"

namespace monsoon {
namespace {

class CpuDropout final : public DropoutKernel {
 public:
  explicit CpuDropout(const Spec& spec)
      : size_(spec.size),
        threshold_(static_cast<uint32_t>(std::ldexp(spec.rate, 32))),
        factor_(static_cast<float>(1 / (1 - spec.rate))) {}

  void Apply(uint64_t key, const float* from, float* to) override {
    const auto low = static_cast<uint32_t>(key);
    const auto high = static_cast<uint32_t>(key >> 32);
    const uint32_t threshold = threshold_;
    const float factor = factor_;
#pragma omp parallel for simd
    for (int64_t i = 0; i < size_; ++i) {
      to[i] = DropoutDraw(i, low, high) >= threshold ? from[i] * factor : 0;
    }
  }

 private:
  int64_t size_;
  uint32_t threshold_;  // rate of all 32-bit numbers lie below
  float factor_;
};

const RegisterKernel<DropoutKernel, CpuDropout> kRegistered("cpu");

}  // namespace
}  // namespace monsoon
