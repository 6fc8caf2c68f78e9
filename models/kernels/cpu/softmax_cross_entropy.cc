// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/softmax_cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"
#include "models/kernels/cpu/blocks.h"

namespace monsoon {
namespace {

class CpuSoftmaxCrossEntropy final : public SoftmaxCrossEntropyKernel {
 public:
  explicit CpuSoftmaxCrossEntropy(const Spec& spec)
      : s_(spec), space_(spec.logits.height * spec.logits.width) {
    for (int64_t k = 0; k < s_.logits.channels; ++k) {
      classes_.push_back(ChannelAt(k, space_, s_.block));
    }
  }

  void Run(const float* z, const int32_t* labels, double smoothing, float* dz,
           Score* score) override {
    *score = {};
    for (int64_t n = 0; n < s_.batch; ++n) {
      for (int64_t s = 0; s < space_; ++s) {
        const int64_t at = n * s_.logits.size() + s * s_.block;
        Add(z + at, labels[n * space_ + s], smoothing,
            dz == nullptr ? nullptr : dz + at, *score);
      }
    }
  }

 private:
  // One pixel; z and dz are at its first class.
  void Add(const float* z, int32_t label, double smoothing, float* dz,
           Score& score) const {
    const auto classes = static_cast<int32_t>(classes_.size());
    MONSOON_CHECK(label >= 0 && label < classes, "a label is a class");
    const auto first =
        std::max_element(classes_.begin(), classes_.end(),
                         [z](int64_t a, int64_t b) { return z[a] < z[b]; });
    const float largest = z[*first];
    double sum = 0;
    double differences = 0;
    // Differences to the largest logit cannot overflow.
    for (int64_t k : classes_) {
      const float power = std::exp(z[k] - largest);
      sum += power;
      differences += z[k] - largest;
      if (dz != nullptr) dz[k] = power;
    }
    const double share = smoothing / classes;
    score.loss_sum +=
        std::log(sum) - (1 - smoothing) * (z[classes_[label]] - largest);
    // Not a product with 0: a logit may be infinite.
    if (smoothing > 0) score.loss_sum -= share * differences;
    if (first == classes_.begin() + label && !std::isnan(sum)) ++score.correct;
    if (dz != nullptr) Scale(label, smoothing, sum, dz);
  }

  // From the powers of one pixel to the gradient of the mean loss.
  void Scale(int32_t label, double smoothing, double sum, float* dz) const {
    const auto pixels = static_cast<double>(s_.batch * space_);
    const double scale = 1 / (sum * pixels);
    const auto share = static_cast<float>(
        smoothing / (static_cast<double>(classes_.size()) * pixels));
    for (int64_t k : classes_)
      dz[k] = static_cast<float>(dz[k] * scale) - share;
    dz[classes_[label]] -= static_cast<float>((1 - smoothing) / pixels);
  }

  const Spec s_;
  const int64_t space_;           // H * W
  std::vector<int64_t> classes_;  // where a pixel's logits lie
};

const RegisterKernel<SoftmaxCrossEntropyKernel, CpuSoftmaxCrossEntropy>
    kRegistered("cpu");

}  // namespace
}  // namespace monsoon
