// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/softmax.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/kernels/cpu/blocks.h"

namespace monsoon {
namespace {

class CpuSoftmax final : public SoftmaxKernel {
 public:
  explicit CpuSoftmax(const Spec& spec)
      : s_(spec), space_(spec.shape.height * spec.shape.width) {
    for (int64_t c = 0; c < s_.shape.channels; ++c) {
      channels_.push_back(ChannelAt(c, space_, s_.block));
    }
  }

  void Forward(const float* x, float* y) override {
    ForPixels([&](int64_t at) {
      float largest = x[at];
      for (int64_t c : channels_) largest = std::max(largest, x[at + c]);
      float sum = 0;
      for (int64_t c : channels_) {
        y[at + c] = std::exp(x[at + c] - largest);
        sum += y[at + c];
      }
      for (int64_t c : channels_) y[at + c] /= sum;
    });
  }

  void Backward(const float* y, const float* dy, float* dx) override {
    ForPixels([&](int64_t at) {
      float mean = 0;
      for (int64_t c : channels_) mean += y[at + c] * dy[at + c];
      for (int64_t c : channels_) {
        dx[at + c] = y[at + c] * (dy[at + c] - mean);
      }
    });
  }

 private:
  // fn(offset of channel 0) for every pixel of every image.
  template <typename Fn>
  void ForPixels(const Fn& fn) const {
#pragma omp parallel for
    for (int64_t n = 0; n < s_.batch; ++n) {
      for (int64_t s = 0; s < space_; ++s) {
        fn(n * s_.shape.size() + s * s_.block);
      }
    }
  }

  const Spec s_;
  const int64_t space_;            // H * W
  std::vector<int64_t> channels_;  // offsets of a pixel's channels
};

const RegisterKernel<SoftmaxKernel, CpuSoftmax> kRegistered("cpu");

}  // namespace
}  // namespace monsoon
