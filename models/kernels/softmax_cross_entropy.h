// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/score.h"
#include "models/shape.h"

namespace monsoon {

// Cross-entropy of the softmax of logits Z [N,K,H,W], in blocks of `block`
// channels (see Value), against labels [N,H,W], one for each pixel (of a vector
// [K,1,1] there is one): with targets
// t_k = (1 - smoothing) [k is the label] + smoothing / K (Szegedy et al. 2016,
// arXiv:1512.00567), loss = log sum_k exp(z_k) - sum_k t_k z_k.
class SoftmaxCrossEntropyKernel {
 public:
  static constexpr const char* kName = "softmax_cross_entropy";
  struct Spec {
    int64_t batch;
    Shape logits;  // K classes
    int64_t block = 1;
  };

  virtual ~SoftmaxCrossEntropyKernel() = default;
  // Writes to `score`, memory of the device, the sum of losses, and how often
  // the largest logit (the first of equals) is the label's; no pixel with a NaN
  // counts as correct. Where dz is not null, dZ = (softmax(Z) - t) / (N H W),
  // the gradient of the mean loss. REQUIRES: 0 <= label < K, 0 <= smoothing
  // < 1.
  virtual void Run(const float* z, const int32_t* labels, double smoothing,
                   float* dz, Score* score) = 0;
};

}  // namespace monsoon
