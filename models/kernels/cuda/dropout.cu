// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "cuda/launch.h"
#include "models/kernels/dropout.h"
#include "models/kernels/dropout_draw.h"

namespace monsoon {
namespace {

class CudaDropout final : public DropoutKernel {
 public:
  CudaDropout(const Spec& spec, DeviceQueue& queue)
      : size_(spec.size),
        threshold_(static_cast<uint32_t>(std::ldexp(spec.rate, 32))),
        factor_(static_cast<float>(1 / (1 - spec.rate))),
        queue_(CudaQueue::Of(queue)) {}

  void Apply(uint64_t key, const float* from, float* to) override {
    const auto low = static_cast<uint32_t>(key);
    const auto high = static_cast<uint32_t>(key >> 32);
    const uint32_t threshold = threshold_;
    const float factor = factor_;
    ForIndex(queue_, size_,
             [low, high, threshold, factor, from,
              to] MONSOON_ELEMENT_LAMBDA(int64_t i) {
               to[i] = DropoutDraw(i, low, high) >= threshold ? from[i] * factor
                                                              : 0;
             });
  }

 private:
  const int64_t size_;
  const uint32_t threshold_;  // rate of all 32-bit numbers lie below
  const float factor_;
  CudaQueue& queue_;
};

const RegisterKernel<DropoutKernel, CudaDropout> kRegistered("cuda");

}  // namespace
}  // namespace monsoon
