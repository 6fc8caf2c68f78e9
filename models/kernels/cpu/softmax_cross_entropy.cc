// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/softmax_cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace monsoon {
namespace {

class CpuSoftmaxCrossEntropy final : public SoftmaxCrossEntropyKernel {
 public:
  explicit CpuSoftmaxCrossEntropy(const Spec& spec) : s_(spec) {}

  Score Run(const float* z, const int32_t* labels, float* dz) override {
    Score score;
    for (int64_t n = 0; n < s_.batch; ++n) {
      const float* row = z + n * s_.classes;
      const int32_t label = labels[n];
      MONSOON_CHECK(label >= 0 && label < s_.classes, "a label is a class");
      const float* largest = std::max_element(row, row + s_.classes);
      double sum = 0;
      // Differences to the largest logit cannot overflow.
      for (int64_t k = 0; k < s_.classes; ++k)
        sum += std::exp(row[k] - *largest);
      score.loss_sum += std::log(sum) - (row[label] - *largest);
      if (largest == row + label && !std::isnan(sum)) ++score.correct;
      if (dz != nullptr)
        Gradient(row, *largest, sum, label, dz + n * s_.classes);
    }
    return score;
  }

 private:
  void Gradient(const float* z, float largest, double sum, int32_t label,
                float* dz) const {
    const double scale = 1.0 / (sum * static_cast<double>(s_.batch));
    for (int64_t k = 0; k < s_.classes; ++k) {
      dz[k] = static_cast<float>(std::exp(z[k] - largest) * scale);
    }
    dz[label] -= 1 / static_cast<float>(s_.batch);
  }

  Spec s_;
};

const RegisterKernel<SoftmaxCrossEntropyKernel, CpuSoftmaxCrossEntropy>
    kRegistered("cpu");

}  // namespace
}  // namespace monsoon
