// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/kernels/conv2d.h"

namespace monsoon {

// The weight gradient of a 3x3 convolution without padding over one or two
// input channels in plain order, such as the first layer over grey images.
// oneDNN pads such inputs to eight channels, which takes about eight times as
// long. X, dY, dW, db as in Conv2dKernel, dY in blocks of 8 channels.
class NarrowWeightGradient {
 public:
  static bool Fits(const Conv2dKernel::Spec& spec, int64_t output_block);

  explicit NarrowWeightGradient(const Conv2dKernel::Spec& spec) : s_(spec) {}
  // Overwrites dw and db. The order of summation does not depend on threads.
  void Run(const float* x, const float* dy, float* dw, float* db) const;

 private:
  void RunBlock(const float* x, const float* dy, int64_t block, int64_t channel,
                float* dw, float* db) const;

  Conv2dKernel::Spec s_;
};

}  // namespace monsoon
