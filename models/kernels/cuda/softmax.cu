// SPDX-License-Identifier: Apache-2.0
// Softmax over the channels of each pixel, and the loss that is made from it. A
// thread goes through a pixel's channels; where they are many and side by side,
// a row of threads does.
#include <algorithm>
#include <cmath>

#include "cuda/launch.h"
#include "models/kernels/cuda/blocks.h"
#include "models/kernels/cuda/device_array.h"
#include "models/kernels/softmax.h"
#include "models/kernels/softmax_cross_entropy.h"

namespace monsoon {
namespace {

// More channels are many.
constexpr int64_t kFewChannels = 32;

struct FloatSum {
  float value = 0;
  MONSOON_ELEMENT void Add(const FloatSum& other) { value += other.value; }
  MONSOON_ELEMENT void Add(float other) { value += other; }
};

// NaN is larger than nothing, and nothing is larger than NaN: it shows in sums.
struct Largest {
  float value = -INFINITY;
  MONSOON_ELEMENT void Add(const Largest& other) { Add(other.value); }
  MONSOON_ELEMENT void Add(float other) {
    if (other > value) value = other;
  }
};

template <typename Number>
class CudaSoftmax final : public SoftmaxKernelOf<Number> {
 public:
  CudaSoftmax(const SoftmaxSpec& s, DeviceQueue& queue)
      : channels_(s.shape.channels),
        pixels_(s.batch * s.shape.height * s.shape.width),
        by_rows_(channels_ > kFewChannels &&
                 (s.block == channels_ || s.shape.height * s.shape.width == 1)),
        order_(channels_, s.shape.height * s.shape.width, s.block),
        queue_(CudaQueue::Of(queue)),
        largest_(by_rows_ ? pixels_ : 0, queue),
        sums_(by_rows_ ? pixels_ : 0, queue) {}

  void Forward(const Number* x, Number* y) override {
    if (by_rows_) {
      ForwardRows(x, y);
      return;
    }
    ForIndex(queue_, pixels_,
             [x, y, order = order_,
              channels = channels_] MONSOON_ELEMENT_LAMBDA(int64_t pixel) {
               const ChannelWalk first = order.Walk(pixel);
               float largest = static_cast<float>(x[first.at]);
               ChannelWalk walk = first;
               for (int64_t c = 0; c < channels; ++c, walk.Next()) {
                 const float logit = static_cast<float>(x[walk.at]);
                 if (logit > largest) largest = logit;
               }
               float sum = 0;
               walk = first;
               for (int64_t c = 0; c < channels; ++c, walk.Next()) {
                 sum += expf(static_cast<float>(x[walk.at]) - largest);
               }
               // Powers once more: kept in y they would be rounded.
               walk = first;
               for (int64_t c = 0; c < channels; ++c, walk.Next()) {
                 const float logit = static_cast<float>(x[walk.at]);
                 y[walk.at] = static_cast<Number>(expf(logit - largest) / sum);
               }
             });
  }

  void Backward(const Number* y, const Number* dy, Number* dx) override {
    if (by_rows_) {
      BackwardRows(y, dy, dx);
      return;
    }
    ForIndex(queue_, pixels_,
             [y, dy, dx, order = order_,
              channels = channels_] MONSOON_ELEMENT_LAMBDA(int64_t pixel) {
               const ChannelWalk first = order.Walk(pixel);
               float mean = 0;
               ChannelWalk walk = first;
               for (int64_t c = 0; c < channels; ++c, walk.Next()) {
                 mean += static_cast<float>(y[walk.at]) *
                         static_cast<float>(dy[walk.at]);
               }
               walk = first;
               for (int64_t c = 0; c < channels; ++c, walk.Next()) {
                 const float rest = static_cast<float>(dy[walk.at]) - mean;
                 dx[walk.at] =
                     static_cast<Number>(static_cast<float>(y[walk.at]) * rest);
               }
             });
  }

  // These are public because a device function cannot lie in a private one.

  // Here a pixel's channels are a row of memory.
  void ForwardRows(const Number* x, Number* y) {
    float* const largest = largest_.data();
    float* const sums = sums_.data();
    const int64_t channels = channels_;
    ForRows<Largest>(
        queue_, pixels_, channels,
        [x, channels] MONSOON_ELEMENT_LAMBDA(int64_t pixel, int64_t c) {
          return static_cast<float>(x[pixel * channels + c]);
        },
        [largest] MONSOON_ELEMENT_LAMBDA(int64_t pixel, const Largest& all) {
          largest[pixel] = all.value;
        });
    ForRows<FloatSum>(
        queue_, pixels_, channels,
        [x, largest, channels] MONSOON_ELEMENT_LAMBDA(int64_t pixel,
                                                      int64_t c) {
          const int64_t at = pixel * channels + c;
          return expf(static_cast<float>(x[at]) - largest[pixel]);
        },
        [sums] MONSOON_ELEMENT_LAMBDA(int64_t pixel, const FloatSum& sum) {
          sums[pixel] = sum.value;
        });
    ForIndex(
        queue_, pixels_ * channels,
        [x, y, largest, sums,
         by_channels = Divisor(channels)] MONSOON_ELEMENT_LAMBDA(int64_t i) {
          const int64_t pixel = by_channels(i).quotient;
          const float power = expf(static_cast<float>(x[i]) - largest[pixel]);
          y[i] = static_cast<Number>(power / sums[pixel]);
        });
  }

  void BackwardRows(const Number* y, const Number* dy, Number* dx) {
    float* const means = sums_.data();
    const int64_t channels = channels_;
    ForRows<FloatSum>(
        queue_, pixels_, channels,
        [y, dy, channels] MONSOON_ELEMENT_LAMBDA(int64_t pixel, int64_t c) {
          const int64_t at = pixel * channels + c;
          return static_cast<float>(y[at]) * static_cast<float>(dy[at]);
        },
        [means] MONSOON_ELEMENT_LAMBDA(int64_t pixel, const FloatSum& sum) {
          means[pixel] = sum.value;
        });
    ForIndex(
        queue_, pixels_ * channels,
        [y, dy, dx, means,
         by_channels = Divisor(channels)] MONSOON_ELEMENT_LAMBDA(int64_t i) {
          const float rest =
              static_cast<float>(dy[i]) - means[by_channels(i).quotient];
          dx[i] = static_cast<Number>(static_cast<float>(y[i]) * rest);
        });
  }

 private:
  const int64_t channels_, pixels_;  // pixels of all images
  const bool by_rows_;
  const BlockOrder order_;
  CudaQueue& queue_;
  DeviceArray<float> largest_, sums_;  // of each pixel, by rows
};

struct ScoreSum {
  Score value;
  MONSOON_ELEMENT void Add(const ScoreSum& other) { Add(other.value); }
  MONSOON_ELEMENT void Add(const Score& other) {
    value.loss_sum += other.loss_sum;
    value.correct += other.correct;
  }
};

// What one pixel adds to the score, and its gradient.
struct PixelLoss {
  const float* z;
  const int32_t* labels;
  float* dz;  // or null
  BlockOrder order;
  int64_t classes;
  double smoothing;
  double pixels;  // N * H * W

  MONSOON_ELEMENT Score operator()(int64_t pixel) const {
    const ChannelWalk first = order.Walk(pixel);
    float largest = z[first.at];
    int64_t winner = 0;
    ChannelWalk walk = first;
    for (int64_t k = 0; k < classes; ++k, walk.Next()) {
      if (z[walk.at] > largest) {
        largest = z[walk.at];
        winner = k;
      }
    }
    const int32_t label = labels[pixel];
    double sum = 0, differences = 0;
    float at_label = 0;
    walk = first;
    // Differences to the largest logit cannot overflow.
    for (int64_t k = 0; k < classes; ++k, walk.Next()) {
      const float difference = z[walk.at] - largest;
      const float power = expf(difference);
      sum += power;
      differences += difference;
      if (k == label) at_label = difference;
      if (dz != nullptr) dz[walk.at] = power;
    }
    if (dz != nullptr) Scale(first, label, sum);
    Score score;
    score.loss_sum = log(sum) - (1 - smoothing) * at_label;
    // Not a product with 0: a logit may be infinite.
    if (smoothing > 0) {
      score.loss_sum -= smoothing / static_cast<double>(classes) * differences;
    }
    // The sum equals itself unless it is NaN.
    score.correct = winner == label && sum == sum ? 1 : 0;
    return score;
  }

  // From the powers of one pixel to the gradient of the mean loss.
  MONSOON_ELEMENT void Scale(ChannelWalk walk, int32_t label,
                             double sum) const {
    const auto scale = static_cast<float>(1 / (sum * pixels));
    const auto share =
        static_cast<float>(smoothing / (static_cast<double>(classes) * pixels));
    const auto own = static_cast<float>((1 - smoothing) / pixels);
    for (int64_t k = 0; k < classes; ++k, walk.Next()) {
      const float gradient = dz[walk.at] * scale - share;
      dz[walk.at] = k == label ? gradient - own : gradient;
    }
  }
};

class CudaSoftmaxCrossEntropy final : public SoftmaxCrossEntropyKernel {
 public:
  CudaSoftmaxCrossEntropy(const Spec& s, DeviceQueue& queue)
      : classes_(s.logits.channels),
        pixels_(s.batch * s.logits.height * s.logits.width),
        order_(classes_, s.logits.height * s.logits.width, s.block),
        parts_(PartsOf(pixels_)),
        queue_(CudaQueue::Of(queue)),
        scores_(parts_ == 1 ? 0 : parts_, queue) {}

  void Run(const float* z, const int32_t* labels, double smoothing, float* dz,
           Score* score) override {
    const PixelLoss loss = {z,
                            labels,
                            dz,
                            order_,
                            classes_,
                            smoothing,
                            static_cast<double>(pixels_)};
    const int64_t pixels = pixels_;
    const int64_t width = (pixels + parts_ - 1) / parts_;
    Score* const parts = parts_ == 1 ? score : scores_.data();
    ForFewRows<ScoreSum>(
        queue_, parts_, width,
        [loss, pixels, width] MONSOON_ELEMENT_LAMBDA(int64_t part, int64_t i) {
          const int64_t pixel = part * width + i;
          return pixel < pixels ? loss(pixel) : Score();
        },
        [parts] MONSOON_ELEMENT_LAMBDA(int64_t part, const ScoreSum& sum) {
          parts[part] = sum.value;
        });
    if (parts_ == 1) return;
    ForRows<ScoreSum>(
        queue_, 1, parts_,
        [parts] MONSOON_ELEMENT_LAMBDA(int64_t, int64_t part) {
          return parts[part];
        },
        [score] MONSOON_ELEMENT_LAMBDA(int64_t, const ScoreSum& sum) {
          *score = sum.value;
        });
  }

 private:
  // Rows of one pixel for each thread, as long as there are enough.
  static int64_t PartsOf(int64_t pixels) {
    constexpr int64_t kThreads = 256, kMostParts = 1024;
    return std::clamp((pixels + kThreads - 1) / kThreads, int64_t{1},
                      kMostParts);
  }

  const int64_t classes_, pixels_;  // pixels of all images
  const BlockOrder order_;
  const int64_t parts_;  // in which the pixels are summed
  CudaQueue& queue_;
  DeviceArray<Score> scores_;  // of parts, where they are several
};

const RegisterKernels<SoftmaxKernelOf, CudaSoftmax> kSoftmax("cuda");
const RegisterKernel<SoftmaxCrossEntropyKernel, CudaSoftmaxCrossEntropy> kLoss(
    "cuda");

}  // namespace
}  // namespace monsoon
