// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"
#include "models/score.h"

namespace monsoon {

// Cross-entropy of the softmax of logits Z [N,K] against labels [N]:
// loss_n = log sum_k exp(z_nk) - z_n,label.
class SoftmaxCrossEntropyKernel {
 public:
  static constexpr const char* kName = "softmax_cross_entropy";
  struct Spec {
    int64_t batch, classes;
  };

  virtual ~SoftmaxCrossEntropyKernel() = default;
  // The sum of losses, and how often the largest logit (the first of equals) is
  // the label's; no example with a NaN counts as correct. Where dz is not null,
  // dZ = (softmax(Z) - onehot) / N, the gradient of the mean loss.
  // REQUIRES: 0 <= label < K.
  virtual Score Run(const float* z, const int32_t* labels, float* dz) = 0;
};

}  // namespace monsoon
