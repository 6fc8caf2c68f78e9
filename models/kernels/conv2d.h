// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "models/kernels/kernel.h"
#include "models/kernels/tensor_sink.h"
#include "models/precision.h"
#include "models/shape.h"

namespace monsoon {

struct Conv2dSpec {
  int64_t batch;
  Shape in, out;  // of the convolution itself
  int64_t block;  // of the input
  int64_t kernel, stride, padding;
  int64_t dilation = 1, groups = 1;
  int64_t pool = 1;  // height and width of a window; 1 is none
  bool relu = false;
  bool input_gradient = true;  // whether Backward will be asked for dX
  Precision precision = Precision::kFp32;

  Shape pooled() const {  // of Y
    return {out.channels, out.height / pool, out.width / pool};
  }
  bool operator==(const Conv2dSpec&) const = default;
};

// Cross-correlation with bias, then maximum pooling and ReLU where asked. N
// batch, C input and O output channels, K window, G groups: X [N,C,H,W] in
// blocks of `block` channels, W [O,C/G,K,K] and b [O] row-major, the
// convolution's output [N,O,H',W'], where
// H' = (H + 2 padding - dilation (K - 1) - 1) / stride + 1, rounded down, and
// Y [N,O,H'/pool,W'/pool] (see MaxPoolKernel) in blocks of output_block()
// channels (see Value).
template <typename In, typename Out>
class Conv2dKernelOf {
 public:
  static constexpr const char* kName = "conv2d";
  using Spec = Conv2dSpec;
  using Input = In;
  using Output = Out;

  virtual ~Conv2dKernelOf() = default;
  // The order in which this kernel writes Y and reads dY; divides O.
  virtual int64_t output_block() const = 0;
  // Which algorithm it is; where several were tried, with their times.
  virtual std::string way() const = 0;
  virtual void Forward(const In* x, const float* w, const float* b, Out* y) = 0;
  // Of the last Forward, whose x and w are as they were. Writes dX, unless it
  // is null, then hands on dW and db. `y` is what Forward wrote (read only for
  // ReLU). May overwrite dY.
  virtual void Backward(const In* x, const Out* y, const float* w, Out* dy,
                        In* dx, const TensorSink& dw, const TensorSink& db) = 0;
};
using Conv2dKernel = Conv2dKernelOf<float, float>;

}  // namespace monsoon
