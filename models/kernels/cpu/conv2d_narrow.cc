// SPDX-License-Identifier: Apache-2.0
// A window of nine numbers times eight outputs at once.
#include <omp.h>

#include <algorithm>

#include "models/kernels/cpu/conv2d_ways.h"
#include "models/kernels/cpu/lanes.h"

namespace monsoon {
namespace {

constexpr int64_t kWindow = 3;
constexpr int64_t kTaps = kWindow * kWindow;
constexpr int64_t kMostChannels = 2;
constexpr int64_t kColumns = 4;  // done at a time

class NarrowConv2d final : public Conv2dKernel {
 public:
  explicit NarrowConv2d(const Spec& spec)
      : s_(spec),
        blocks_(spec.out.channels / kLanes),
        w_(spec.out.channels * spec.in.channels * kTaps),
        dw_(w_.size()),
        db_(spec.out.channels) {}

  int64_t output_block() const override { return kLanes; }
  std::string way() const override { return "narrow"; }

  void Forward(const float* x, const float* w, const float* b,
               float* y) override {
    ArrangeWeights(w);
    const int64_t rows = s_.out.height;
#pragma omp parallel for
    for (int64_t n = 0; n < s_.batch; ++n) {
      for (int64_t block = 0; block < blocks_; ++block) {
        float* plane = y + (n * blocks_ + block) * rows * s_.out.width * kLanes;
        for (int64_t row = 0; row < rows; ++row) {
          ForwardRow(InputRow(x, n, row), block, Load(b + block * kLanes),
                     plane + row * s_.out.width * kLanes);
        }
      }
    }
  }

  void Backward(const float* x, const float* y, const float*, float* dy, float*,
                const TensorSink& dw, const TensorSink& db) override {
#pragma omp parallel for collapse(2)
    for (int64_t block = 0; block < blocks_; ++block) {
      for (int64_t channel = 0; channel < s_.in.channels; ++channel) {
        BackwardBlock(x, y, dy, block, channel);
      }
    }
    dw.Take(dw_.data(), dw_.size());
    db.Take(db_.data(), db_.size());
  }

 private:
  // Sums for one input channel and one block of output channels.
  struct Sums {
    Lanes weight[kTaps] = {};
    Lanes bias = {};

    void Add(const Sums& other) {
      for (int64_t k = 0; k < kTaps; ++k) weight[k] += other.weight[k];
      bias += other.bias;
    }
  };

  // The first channel of image n at the first row of a window.
  const float* InputRow(const float* x, int64_t n, int64_t row) const {
    return x + n * s_.in.size() + row * s_.stride * s_.in.width;
  }
  // Of tap k of the window in one channel.
  int64_t TapOffset(int64_t k) const {
    return k / kWindow * s_.in.width + k % kWindow;
  }

  // [O, C, 9] to [O / 8, C, 9, 8]
  void ArrangeWeights(const float* w) {
    const int64_t taps = s_.in.channels * kTaps;
    for (int64_t o = 0; o < s_.out.channels; ++o) {
      float* to = w_.data() + o / kLanes * taps * kLanes + o % kLanes;
      for (int64_t k = 0; k < taps; ++k) to[k * kLanes] = w[o * taps + k];
    }
  }

  void ForwardRow(const float* x, int64_t block, const Lanes& bias,
                  float* y) const {
    int64_t column = 0;
    for (; column + kColumns <= s_.out.width; column += kColumns) {
      ForwardColumns<kColumns>(x + column * s_.stride, block, bias,
                               y + column * kLanes);
    }
    for (; column < s_.out.width; ++column) {
      ForwardColumns<1>(x + column * s_.stride, block, bias,
                        y + column * kLanes);
    }
  }

  template <int64_t kCount>
  void ForwardColumns(const float* x, int64_t block, const Lanes& bias,
                      float* y) const {
    Lanes sum[kCount];
    for (Lanes& s : sum) s = bias;
    const float* w = w_.data() + block * s_.in.channels * kTaps * kLanes;
    for (int64_t c = 0; c < s_.in.channels; ++c) {
      const float* plane = x + c * s_.in.height * s_.in.width;
      for (int64_t k = 0; k < kTaps; ++k, w += kLanes) {
        const Lanes weight = Load(w);
        const float* tap = plane + TapOffset(k);
        for (int64_t i = 0; i < kCount; ++i) {
          sum[i] += Fill(tap[i * s_.stride]) * weight;
        }
      }
    }
    for (int64_t i = 0; i < kCount; ++i) {
      if (s_.relu) sum[i] = sum[i] > 0 ? sum[i] : Lanes{};
      Store(sum[i], y + i * kLanes);
    }
  }

  void BackwardBlock(const float* x, const float* y, const float* dy,
                     int64_t block, int64_t channel) {
    const int64_t row_size = s_.out.width * kLanes;
    // Summing images first keeps the rounding error of long sums down.
    Sums total;
    for (int64_t n = 0; n < s_.batch; ++n) {
      const int64_t plane = (n * blocks_ + block) * s_.out.height * row_size;
      Sums image;
      for (int64_t row = 0; row < s_.out.height; ++row) {
        const int64_t at = plane + row * row_size;
        AddRow(InputRow(x, n, row) + channel * s_.in.height * s_.in.width,
               s_.relu ? y + at : nullptr, dy + at, image);
      }
      total.Add(image);
    }
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const int64_t output = block * kLanes + lane;
      float* weights = dw_.data() + (output * s_.in.channels + channel) * kTaps;
      for (int64_t k = 0; k < kTaps; ++k) weights[k] = total.weight[k][lane];
      if (channel == 0) db_[output] = total.bias[lane];
    }
  }

  // Adds a row of dY [columns, 8], where y (if any) is positive.
  void AddRow(const float* x, const float* y, const float* dy,
              Sums& into) const {
    Sums sums = into;  // in registers
    for (int64_t column = 0; column < s_.out.width; ++column) {
      Lanes g = Load(dy + column * kLanes);
      if (y != nullptr) g = Load(y + column * kLanes) > 0 ? g : Lanes{};
      const float* window = x + column * s_.stride;
      for (int64_t k = 0; k < kTaps; ++k) {
        sums.weight[k] += g * Fill(window[TapOffset(k)]);
      }
      sums.bias += g;
    }
    into = sums;
  }

  const Spec s_;
  const int64_t blocks_;
  Flat w_, dw_, db_;
};

}  // namespace

bool FitsNarrow(const Conv2dKernel::Spec& s) {
  return s.in.channels <= kMostChannels && s.block == 1 &&
         s.out.channels % kLanes == 0 && s.pool == 1 && s.kernel == kWindow &&
         s.padding == 0 && s.dilation == 1 && s.groups == 1 &&
         !s.input_gradient;
}

MadeConv2d MakeNarrowConv2d(const Conv2dKernel::Spec& spec) {
  return std::make_unique<NarrowConv2d>(spec);
}

}  // namespace monsoon
