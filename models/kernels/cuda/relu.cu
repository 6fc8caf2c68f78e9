// SPDX-License-Identifier: Apache-2.0
#include "cuda/launch.h"
#include "models/kernels/relu.h"

namespace monsoon {
namespace {

template <typename Number>
class CudaRelu final : public ReluKernelOf<Number> {
 public:
  CudaRelu(const ReluSpec& spec, DeviceQueue& queue)
      : size_(spec.size), queue_(CudaQueue::Of(queue)) {}

  void Forward(const Number* x, Number* y) override {
    ForIndex(queue_, size_, [x, y] MONSOON_ELEMENT_LAMBDA(int64_t i) {
      y[i] = static_cast<float>(x[i]) > 0 ? x[i] : Number(0.0f);
    });
  }

  void Backward(const Number* y, const Number* dy, Number* dx) override {
    ForIndex(queue_, size_, [y, dy, dx] MONSOON_ELEMENT_LAMBDA(int64_t i) {
      dx[i] = static_cast<float>(y[i]) > 0 ? dy[i] : Number(0.0f);
    });
  }

 private:
  int64_t size_;
  CudaQueue& queue_;
};

const RegisterKernels<ReluKernelOf, CudaRelu> kRegistered("cuda");

}  // namespace
}  // namespace monsoon
