// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "models/kernels/kernel.h"
#include "models/kernels/tensor_sink.h"
#include "models/precision.h"

namespace monsoon {

struct DenseSpec {
  int64_t batch, inputs, outputs;
  bool relu = false;
  Precision precision = Precision::kFp32;
};

// Y = X W^T + b, and ReLU where asked. N batch, I inputs, O outputs; all
// row-major: X [N,I], W [O,I], b [O], Y [N,O]. REQUIRES: where X is bfloat16,
// so is the precision, and where Y is, X is.
template <typename In, typename Out>
class DenseKernelOf {
 public:
  static constexpr const char* kName = "dense";
  using Spec = DenseSpec;
  using Input = In;
  using Output = Out;

  virtual ~DenseKernelOf() = default;
  // Which algorithm it is.
  virtual std::string way() const = 0;
  virtual void Forward(const In* x, const float* w, const float* b, Out* y) = 0;
  // Writes dX = dY W, unless dx is null, then hands on dW = dY^T X and
  // db = column sums of dY. `y` is what the Forward before wrote (read only for
  // ReLU), X and W what it read. May overwrite dY.
  virtual void Backward(const In* x, const Out* y, const float* w, Out* dy,
                        In* dx, const TensorSink& dw, const TensorSink& db) = 0;
};
using DenseKernel = DenseKernelOf<float, float>;

}  // namespace monsoon
