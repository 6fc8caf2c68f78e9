// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/plain_order.h"

#include "models/kernels/cpu/lanes.h"

namespace monsoon {
namespace {

class CpuPlainOrder final : public PlainOrderKernel {
 public:
  explicit CpuPlainOrder(const Spec& s)
      : planes_(s.batch * s.shape.channels / s.block),
        space_(s.shape.height * s.shape.width),
        block_(s.block) {}

  // Each of the N * C / block planes is a transposition of [H*W, block].
  void Forward(const float* x, float* y) override {
    TransposeAll(x, space_, block_, y);
  }
  void Backward(const float* dy, float* dx) override {
    TransposeAll(dy, block_, space_, dx);
  }

 private:
  void TransposeAll(const float* from, int64_t rows, int64_t columns,
                    float* to) const {
#pragma omp parallel for
    for (int64_t p = 0; p < planes_; ++p) {
      TransposeMatrix(from + p * rows * columns, rows, columns,
                      to + p * rows * columns);
    }
  }

  int64_t planes_, space_, block_;
};

const RegisterKernel<PlainOrderKernel, CpuPlainOrder> kRegistered("cpu");

}  // namespace
}  // namespace monsoon
