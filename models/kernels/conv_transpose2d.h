// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/kernels/tensor_sink.h"
#include "models/precision.h"
#include "models/shape.h"

namespace monsoon {

struct ConvTranspose2dSpec {
  int64_t batch;
  Shape in, out;
  int64_t block;  // of the input
  int64_t kernel, stride, padding;
  bool input_gradient = true;  // whether Backward will be asked for dX
  // What operands may be rounded to, where that is faster.
  Precision precision = Precision::kFp32;
};

// Transposed convolution with bias: what a convolution from Y's channels to X's
// does to gradients. N batch, C input and O output channels, K window:
// X [N,C,H,W] in blocks of `block` channels, W [C,O,K,K] and b [O] row-major,
// Y [N,O,H',W'] in blocks of output_block() channels (see Value), where H' is
// from (H - 1) stride - 2 padding + K up to stride - 1 more, which get what
// windows reach them.
template <typename In, typename Out>
class ConvTranspose2dKernelOf {
 public:
  static constexpr const char* kName = "conv_transpose2d";
  using Spec = ConvTranspose2dSpec;
  using Input = In;
  using Output = Out;

  virtual ~ConvTranspose2dKernelOf() = default;
  // The order in which this kernel writes Y and reads dY; divides O.
  virtual int64_t output_block() const = 0;
  virtual void Forward(const In* x, const float* w, const float* b, Out* y) = 0;
  // Of the last Forward, whose x and w are as they were. Writes dX, unless it
  // is null, then hands on dW and db. Does not read `y`.
  virtual void Backward(const In* x, const Out* y, const float* w,
                        const Out* dy, In* dx, const TensorSink& dw,
                        const TensorSink& db) = 0;
};
using ConvTranspose2dKernel = ConvTranspose2dKernelOf<float, float>;

}  // namespace monsoon
