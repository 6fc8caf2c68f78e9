// SPDX-License-Identifier: Apache-2.0
#include "cuda/launch.h"
#include "models/kernels/relu.h"

namespace monsoon {
namespace {

class CudaRelu final : public ReluKernel {
 public:
  CudaRelu(const Spec& spec, DeviceQueue& queue)
      : size_(spec.size), queue_(CudaQueue::Of(queue)) {}

  void Forward(const float* x, float* y) override {
    ForIndex(queue_, size_, [x, y] MONSOON_ELEMENT_LAMBDA(int64_t i) {
      y[i] = x[i] > 0 ? x[i] : 0;
    });
  }

  void Backward(const float* y, const float* dy, float* dx) override {
    ForIndex(queue_, size_, [y, dy, dx] MONSOON_ELEMENT_LAMBDA(int64_t i) {
      dx[i] = y[i] > 0 ? dy[i] : 0;
    });
  }

 private:
  int64_t size_;
  CudaQueue& queue_;
};

const RegisterKernel<ReluKernel, CudaRelu> kRegistered("cuda");

}  // namespace
}  // namespace monsoon
