// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/kernels/tensor_sink.h"
#include "models/shape.h"

namespace monsoon {

// Cross-correlation with bias. N batch, C input and O output channels, K
// window: X [N,C,H,W] in blocks of `block` channels, W [O,C,K,K] and b [O]
// row-major, Y [N,O,H',W'] in blocks of output_block() channels (see Value),
// where H' = (H + 2 padding - K) / stride + 1, rounded down.
class Conv2dKernel {
 public:
  static constexpr const char* kName = "conv2d";
  struct Spec {
    int64_t batch;
    Shape in, out;
    int64_t block;  // of the input
    int64_t kernel, stride, padding;
    bool input_gradient;  // whether BackwardData will be called
  };

  virtual ~Conv2dKernel() = default;
  // The order in which this kernel writes Y and reads dY; divides O.
  virtual int64_t output_block() const = 0;
  virtual void Forward(const float* x, const float* w, const float* b,
                       float* y) = 0;
  virtual void BackwardData(const float* dy, const float* w, float* dx) = 0;
  virtual void BackwardWeights(const float* x, const float* dy,
                               const TensorSink& dw, const TensorSink& db) = 0;
};

}  // namespace monsoon
