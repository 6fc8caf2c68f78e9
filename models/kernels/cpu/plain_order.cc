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
      TransposePlane(from + p * rows * columns, rows, columns,
                     to + p * rows * columns);
    }
  }

  // a [rows, columns] to b [columns, rows]
  static void TransposePlane(const float* a, int64_t rows, int64_t columns,
                             float* b) {
    const int64_t whole_rows = rows / kLanes * kLanes;
    const int64_t whole_columns = columns / kLanes * kLanes;
    for (int64_t r = 0; r < whole_rows; r += kLanes) {
      for (int64_t c = 0; c < whole_columns; c += kLanes) {
        Lanes square[kLanes];
        for (int64_t i = 0; i < kLanes; ++i) {
          square[i] = Load(a + (r + i) * columns + c);
        }
        Transpose(square);
        for (int64_t i = 0; i < kLanes; ++i) {
          Store(square[i], b + (c + i) * rows + r);
        }
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t first = r < whole_rows ? whole_columns : 0;
      for (int64_t c = first; c < columns; ++c) {
        b[c * rows + r] = a[r * columns + c];
      }
    }
  }

  int64_t planes_, space_, block_;
};

const RegisterKernel<PlainOrderKernel, CpuPlainOrder> kRegistered("cpu");

}  // namespace
}  // namespace monsoon
