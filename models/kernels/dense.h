// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/kernels/tensor_sink.h"

namespace monsoon {

// Y = X W^T + b. N batch, I inputs, O outputs; all row-major: X [N,I], W [O,I],
// b [O], Y [N,O].
class DenseKernel {
 public:
  static constexpr const char* kName = "dense";
  struct Spec {
    int64_t batch, inputs, outputs;
  };

  virtual ~DenseKernel() = default;
  virtual void Forward(const float* x, const float* w, const float* b,
                       float* y) = 0;
  // dX = dY W
  virtual void BackwardData(const float* dy, const float* w, float* dx) = 0;
  // dW = dY^T X, db = column sums of dY
  virtual void BackwardWeights(const float* x, const float* dy,
                               const TensorSink& dw, const TensorSink& db) = 0;
};

}  // namespace monsoon
