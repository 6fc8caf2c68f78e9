// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/dropout.h"

#include <cmath>

namespace monsoon {
namespace {

// A bijection of 32-bit numbers with little bias (multipliers: C. Wellons's
// lowbias32). Unlike a stream, it vectorises and needs no memory for a mask.
inline uint32_t Hash(uint32_t h) {
  h = (h ^ (h >> 16)) * 0x7feb352du;
  h = (h ^ (h >> 15)) * 0x846ca68bu;
  return h ^ (h >> 16);
}

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
      const uint32_t draw = Hash(Hash(static_cast<uint32_t>(i) ^ low) ^ high);
      to[i] = draw >= threshold ? from[i] * factor : 0;
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
