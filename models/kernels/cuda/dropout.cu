// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "cuda/launch.h"
#include "models/kernels/dropout.h"
#include "models/kernels/dropout_draw.h"

namespace monsoon {
namespace {

template <typename Number>
class CudaDropout final : public DropoutKernelOf<Number> {
 public:
  CudaDropout(const DropoutSpec& spec, DeviceQueue& queue)
      : size_(spec.size),
        threshold_(static_cast<uint32_t>(std::ldexp(spec.rate, 32))),
        factor_(static_cast<float>(1 / (1 - spec.rate))),
        queue_(CudaQueue::Of(queue)) {}

  void Apply(uint64_t key, const Number* from, Number* to) override {
    const auto low = static_cast<uint32_t>(key);
    const auto high = static_cast<uint32_t>(key >> 32);
    const uint32_t threshold = threshold_;
    const float factor = factor_;
    ForIndex(queue_, size_,
             [low, high, threshold, factor, from,
              to] MONSOON_ELEMENT_LAMBDA(int64_t i) {
               const bool stays = DropoutDraw(i, low, high) >= threshold;
               const float value = static_cast<float>(from[i]);
               to[i] = static_cast<Number>(stays ? value * factor : 0);
             });
  }

 private:
  const int64_t size_;
  const uint32_t threshold_;  // rate of all 32-bit numbers lie below
  const float factor_;
  CudaQueue& queue_;
};

const RegisterKernels<DropoutKernelOf, CudaDropout> kRegistered("cuda");

}  // namespace
}  // namespace monsoon
