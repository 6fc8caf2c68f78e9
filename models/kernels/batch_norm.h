// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/kernels/tensor_sink.h"
#include "models/shape.h"

namespace monsoon {

struct BatchNormSpec {
  int64_t batch;
  Shape shape;
  int64_t block;
  float momentum, epsilon;
};

struct BatchNormAffine {
  const float* scale;
  const float* shift;
};

struct BatchNormRunning {
  float* mean;
  float* variance;
};

// Batch normalisation. X and Y [N,C,H,W] in blocks of `block` channels (see
// Value); all else has one number for each channel [C], whose mean and variance
// are over its N*H*W values:
// y = scale (x - mean) / sqrt(variance + epsilon) + shift.
template <typename Number>
class BatchNormKernelOf {
 public:
  static constexpr const char* kName = "batch_norm";
  using Spec = BatchNormSpec;
  using Affine = BatchNormAffine;
  using Running = BatchNormRunning;

  virtual ~BatchNormKernelOf() = default;
  // With the batch's own mean and biased variance, which it remembers, and by
  // which it moves the running ones: running += momentum (batch's - running),
  // the variance there being unbiased (of a single value 0).
  virtual void Train(const Number* x, const Affine& affine,
                     const Running& running, Number* y) = 0;
  // With the running mean and variance, which it only reads.
  virtual void Evaluate(const Number* x, const Affine& affine,
                        const Running& running, Number* y) = 0;
  // Of the last Train, with the same x and scale. Overwrites dX, unless that is
  // null, then hands on the others.
  virtual void Backward(const Number* x, const Number* dy, const float* scale,
                        Number* dx, const TensorSink& dscale,
                        const TensorSink& dshift) = 0;
};
using BatchNormKernel = BatchNormKernelOf<float>;

}  // namespace monsoon
