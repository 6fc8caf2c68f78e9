// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/relu.h"

#include "models/kernels/cpu/relu.h"

namespace monsoon {
namespace {

class CpuRelu final : public ReluKernel {
 public:
  explicit CpuRelu(const Spec& spec) : size_(spec.size) {}

  void Forward(const float* x, float* y) override {
#pragma omp parallel for simd
    for (int64_t i = 0; i < size_; ++i) y[i] = x[i] > 0 ? x[i] : 0;
  }

  void Backward(const float* y, const float* dy, float* dx) override {
    MaskByOutput(y, dy, dx, size_);
  }

 private:
  int64_t size_;
};

const RegisterKernel<ReluKernel, CpuRelu> kRegistered("cpu");

}  // namespace
}  // namespace monsoon
