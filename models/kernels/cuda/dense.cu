// SPDX-License-Identifier: Apache-2.0
// Dense layers over cuBLASLt: bias and ReLU are part of the product, and so are
// the sink's scale and beta.
#include "cuda/launch.h"
#include "cuda/matmul.h"
#include "models/kernels/cuda/bf16.h"
#include "models/kernels/cuda/device_array.h"
#include "models/kernels/cuda/operands.h"
#include "models/kernels/dense.h"

namespace monsoon {
namespace {

using Epilogue = CudaMatmul::Epilogue;

struct ColumnSum {
  float value = 0;
  MONSOON_ELEMENT void Add(const ColumnSum& other) { value += other.value; }
};

// A matrix [rows, columns] as operand of a product: as it is, or rounded to
// bfloat16 in memory of its own, where rows begin at multiples of 16 bytes.
class Operand {
 public:
  Operand(int64_t rows, int64_t columns, Precision precision, CudaQueue& queue)
      : columns_(columns),
        stride_(precision == Precision::kBf16 ? (columns + 7) / 8 * 8
                                              : columns),
        size_(rows * columns),
        queue_(queue),
        rounded_(precision == Precision::kBf16 ? rows * stride_ : 0, queue) {}

  int64_t stride() const { return stride_; }
  // What the product takes for `matrix`; until the next call.
  const void* Round(const float* matrix) {
    Bf16* const to = rounded_.data();
    if (to == nullptr) return matrix;
    ForIndex(queue_, size_,
             [matrix, to, columns = columns_,
              stride = stride_] MONSOON_ELEMENT_LAMBDA(int64_t i) {
               const int64_t row = i / columns;
               to[row * stride + (i - row * columns)] = Bf16(matrix[i]);
             });
    return to;
  }
  // As the last Round left it.
  const void* Rounded(const float* matrix) {
    return rounded_.data() == nullptr ? matrix
                                      : static_cast<void*>(rounded_.data());
  }

 private:
  const int64_t columns_, stride_, size_;
  CudaQueue& queue_;
  DeviceArray<Bf16> rounded_;
};

class CudaDense final : public DenseKernel {
 public:
  CudaDense(const Spec& s, DeviceQueue& queue)
      : s_(s),
        queue_(CudaQueue::Of(queue)),
        x_(s.batch, s.inputs, s.precision, queue_),
        w_(s.outputs, s.inputs, s.precision, queue_),
        dy_(s.batch, s.outputs, s.precision, queue_),
        forward_({.rows = s.batch,
                  .columns = s.outputs,
                  .depth = s.inputs,
                  .b_transposed = true,
                  .a_stride = x_.stride(),
                  .b_stride = w_.stride(),
                  .operands = OperandsOf(s.precision),
                  .epilogue = s.relu ? Epilogue::kBiasRelu : Epilogue::kBias},
                 queue_),
        backward_x_({.rows = s.batch,
                     .columns = s.inputs,
                     .depth = s.outputs,
                     .a_stride = dy_.stride(),
                     .b_stride = w_.stride(),
                     .operands = OperandsOf(s.precision)},
                    queue_),
        backward_w_({.rows = s.outputs,
                     .columns = s.inputs,
                     .depth = s.batch,
                     .a_transposed = true,
                     .a_stride = dy_.stride(),
                     .b_stride = x_.stride(),
                     .operands = OperandsOf(s.precision)},
                    queue_) {}

  std::string way() const override { return ""; }

  void Forward(const float* x, const float* w, const float* b,
               float* y) override {
    forward_.Run(x_.Round(x), w_.Round(w), y, 1, 0, b);
  }

  void Backward(const float* x, const float* y, const float* w, float* dy,
                float* dx, const TensorSink& dw,
                const TensorSink& db) override {
    if (s_.relu) Mask(y, dy);
    const void* const gradient = dy_.Round(dy);
    // The sink may be the weights themselves.
    if (dx != nullptr) backward_x_.Run(gradient, w_.Rounded(w), dx);
    backward_w_.Run(gradient, x_.Rounded(x), dw.into, dw.scale, dw.beta);
    dw.HandOn(0, dw.into, s_.outputs * s_.inputs);
    SumColumns(dy, db);
    db.HandOn(0, db.into, s_.outputs);
  }

  // dY where ReLU let Y through, else 0.
  void Mask(const float* y, float* dy) {
    ForIndex(queue_, s_.batch * s_.outputs,
             [y, dy] MONSOON_ELEMENT_LAMBDA(int64_t i) {
               if (!(y[i] > 0)) dy[i] = 0;
             });
  }

  void SumColumns(const float* dy, const TensorSink& db) {
    const int64_t outputs = s_.outputs;
    ForNeighbouringRows<ColumnSum>(
        queue_, outputs, s_.batch,
        [dy, outputs] MONSOON_ELEMENT_LAMBDA(int64_t column, int64_t row) {
          return ColumnSum{dy[row * outputs + column]};
        },
        [to = db.into, scale = db.scale, beta = db.beta] MONSOON_ELEMENT_LAMBDA(
            int64_t column, const ColumnSum& sum) {
          // With beta 0 what is there is not read.
          const float before = beta == 0 ? 0 : beta * to[column];
          to[column] = before + scale * sum.value;
        });
  }

 private:
  const Spec s_;
  CudaQueue& queue_;
  Operand x_, w_, dy_;
  CudaMatmul forward_, backward_x_, backward_w_;
};

const RegisterKernel<DenseKernel, CudaDense> kRegistered("cuda");

}  // namespace
}  // namespace monsoon
