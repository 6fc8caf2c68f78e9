// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "models/kernels/kernel.h"
#include "models/kernels/tensor_sink.h"
#include "models/precision.h"

namespace monsoon {

// Y = X W^T + b, and ReLU where asked. N batch, I inputs, O outputs; all
// row-major: X [N,I], W [O,I], b [O], Y [N,O].
class DenseKernel {
 public:
  static constexpr const char* kName = "dense";
  struct Spec {
    int64_t batch, inputs, outputs;
    bool relu = false;
    Precision precision = Precision::kFp32;
  };

  virtual ~DenseKernel() = default;
  // Which algorithm it is.
  virtual std::string way() const = 0;
  virtual void Forward(const float* x, const float* w, const float* b,
                       float* y) = 0;
  // Writes dX = dY W, unless dx is null, then hands on dW = dY^T X and
  // db = column sums of dY. `y` is what the Forward before wrote (read only for
  // ReLU), X and W what it read. May overwrite dY.
  virtual void Backward(const float* x, const float* y, const float* w,
                        float* dy, float* dx, const TensorSink& dw,
                        const TensorSink& db) = 0;
};

}  // namespace monsoon
