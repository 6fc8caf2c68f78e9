// SPDX-License-Identifier: Apache-2.0
// Batch normalisation in three passes over memory forward (two of them while an
// image's plane is in cache) and three backward. Planes [H*W, block] are worked
// on sixteen floats at a time, whatever the block: lane l then always belongs
// to channel l % block.
#include "models/kernels/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/check.h"

namespace monsoon {
namespace {

constexpr int64_t kLanes = 16;

// A number for each lane. A value: loops over copies of it run in registers.
struct Lanes {
  float at[kLanes] = {};
};

// The sums of term(i, lane) over a plane of `size` floats, channel by channel,
// in every lane of the channel. The order of summation is fixed.
template <typename Term>
Lanes Sum(int64_t size, int64_t block, const Term& term) {
  Lanes sums;
  const int64_t whole = size / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) sums.at[l] += term(i + l, l);
  }
  for (int64_t l = 0; whole + l < size; ++l) sums.at[l] += term(whole + l, l);
  Lanes folded;
  for (int64_t l = 0; l < kLanes; ++l) {
    for (int64_t k = l % block; k < kLanes; k += block) {
      folded.at[l] += sums.at[k];
    }
  }
  return folded;
}

// to[i] = fn(i, lane) over a plane of `size` floats.
template <typename Fn>
void Map(int64_t size, const Fn& fn, float* to) {
  const int64_t whole = size / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    // By way of a copy, so that `to` may be whatever fn reads.
    Lanes values;
    for (int64_t l = 0; l < kLanes; ++l) values.at[l] = fn(i + l, l);
    std::copy_n(values.at, kLanes, to + i);
  }
  for (int64_t l = 0; whole + l < size; ++l) to[whole + l] = fn(whole + l, l);
}

class CpuBatchNorm final : public BatchNormKernel {
 public:
  explicit CpuBatchNorm(const Spec& spec)
      : s_(spec),
        groups_(spec.shape.channels / spec.block),
        plane_(spec.shape.height * spec.shape.width * spec.block),
        count_(static_cast<float>(spec.batch * spec.shape.height *
                                  spec.shape.width)),
        mean_(groups_),
        inverse_(groups_),
        dscale_(spec.shape.channels),
        dshift_(spec.shape.channels) {
    MONSOON_CHECK(kLanes % spec.block == 0,
                  "a block that this device's kernels produce");
  }

  void Train(const float* x, const Affine& affine, const Running& running,
             float* y) override {
#pragma omp parallel for
    for (int64_t g = 0; g < groups_; ++g) {
      Measure(x, g, running);
      Normalise(x, g, affine, y);
    }
  }

  void Evaluate(const float* x, const Affine& affine, const Running& running,
                float* y) override {
#pragma omp parallel for
    for (int64_t g = 0; g < groups_; ++g) {
      mean_[g] = OfChannels(running.mean, g);
      SetInverse(OfChannels(running.variance, g), g);
      Normalise(x, g, affine, y);
    }
  }

  void Backward(const float* x, const float* dy, const float* scale, float* dx,
                const TensorSink& dscale, const TensorSink& dshift) override {
#pragma omp parallel for
    for (int64_t g = 0; g < groups_; ++g) {
      BackwardGroup(x, dy, OfChannels(scale, g), g, dx);
    }
    dscale.Take(dscale_.data(), s_.shape.channels);
    dshift.Take(dshift_.data(), s_.shape.channels);
  }

 private:
  int64_t PlaneAt(int64_t n, int64_t group) const {
    return (n * groups_ + group) * plane_;
  }

  // Numbers [C] spread over the lanes of a group.
  Lanes OfChannels(const float* values, int64_t group) const {
    Lanes lanes;
    for (int64_t l = 0; l < kLanes; ++l) {
      lanes.at[l] = values[group * s_.block + l % s_.block];
    }
    return lanes;
  }
  void ToChannels(const Lanes& lanes, int64_t group, float* values) const {
    std::copy_n(lanes.at, s_.block, values + group * s_.block);
  }

  void SetInverse(const Lanes& variance, int64_t group) {
    for (int64_t l = 0; l < kLanes; ++l) {
      inverse_[group].at[l] = 1 / std::sqrt(variance.at[l] + s_.epsilon);
    }
  }

  // Mean and squared deviations image by image, while a plane is in cache,
  // merged as in Chan, Golub, LeVeque 1979: no sum of squares to cancel.
  void Measure(const float* x, int64_t group, const Running& running) {
    const int64_t pixels = plane_ / s_.block;
    const auto space = static_cast<float>(pixels);
    Lanes mean, squares;
    for (int64_t n = 0; n < s_.batch; ++n) {
      const float* plane = x + PlaneAt(n, group);
      Lanes own =
          Sum(plane_, s_.block, [=](int64_t i, int64_t) { return plane[i]; });
      for (float& m : own.at) m /= space;
      const Lanes deviations =
          Sum(plane_, s_.block, [plane, own](int64_t i, int64_t l) {
            const float d = plane[i] - own.at[l];
            return d * d;
          });
      if (n == 0) {
        mean = own;
        squares = deviations;
        continue;
      }
      const float share = 1 / static_cast<float>(n + 1);
      const float weight = space * static_cast<float>(n) * share;
      for (int64_t l = 0; l < kLanes; ++l) {
        const float delta = own.at[l] - mean.at[l];
        mean.at[l] += delta * share;
        squares.at[l] += deviations.at[l] + delta * delta * weight;
      }
    }
    mean_[group] = mean;
    for (int64_t l = 0; l < s_.block; ++l) {
      const int64_t c = group * s_.block + l;
      const float unbiased = squares.at[l] / std::max(count_ - 1, 1.0f);
      running.mean[c] += s_.momentum * (mean.at[l] - running.mean[c]);
      running.variance[c] += s_.momentum * (unbiased - running.variance[c]);
    }
    for (float& s : squares.at) s /= count_;
    SetInverse(squares, group);
  }

  void Normalise(const float* x, int64_t group, const Affine& affine,
                 float* y) const {
    const Lanes mean = mean_[group];
    const Lanes shift = OfChannels(affine.shift, group);
    Lanes factor = OfChannels(affine.scale, group);
    for (int64_t l = 0; l < kLanes; ++l) factor.at[l] *= inverse_[group].at[l];
    for (int64_t n = 0; n < s_.batch; ++n) {
      const float* from = x + PlaneAt(n, group);
      Map(
          plane_,
          [=](int64_t i, int64_t l) {
            return (from[i] - mean.at[l]) * factor.at[l] + shift.at[l];
          },
          y + PlaneAt(n, group));
    }
  }

  // With d = x - mean and m values a channel: dshift = sum dy, dscale = inverse
  // sum dy d, dx = scale inverse (dy - dshift / m - d inverse dscale / m).
  void BackwardGroup(const float* x, const float* dy, const Lanes& scale,
                     int64_t group, float* dx) {
    const Lanes mean = mean_[group];
    const Lanes inverse = inverse_[group];
    Lanes dscale, dshift;
    for (int64_t n = 0; n < s_.batch; ++n) {
      const float* p = x + PlaneAt(n, group);
      const float* g = dy + PlaneAt(n, group);
      const Lanes plain =
          Sum(plane_, s_.block, [=](int64_t i, int64_t) { return g[i]; });
      const Lanes product =
          Sum(plane_, s_.block, [p, g, mean](int64_t i, int64_t l) {
            return g[i] * (p[i] - mean.at[l]);
          });
      for (int64_t l = 0; l < kLanes; ++l) {
        dshift.at[l] += plain.at[l];
        dscale.at[l] += product.at[l] * inverse.at[l];
      }
    }
    ToChannels(dscale, group, dscale_.data());
    ToChannels(dshift, group, dshift_.data());
    if (dx == nullptr) return;
    Lanes slope, offset, factor;
    for (int64_t l = 0; l < kLanes; ++l) {
      slope.at[l] = inverse.at[l] * dscale.at[l] / count_;
      offset.at[l] = dshift.at[l] / count_;
      factor.at[l] = scale.at[l] * inverse.at[l];
    }
    for (int64_t n = 0; n < s_.batch; ++n) {
      const float* p = x + PlaneAt(n, group);
      const float* g = dy + PlaneAt(n, group);
      Map(
          plane_,
          [=](int64_t i, int64_t l) {
            const float d = p[i] - mean.at[l];
            return factor.at[l] * (g[i] - offset.at[l] - d * slope.at[l]);
          },
          dx + PlaneAt(n, group));
    }
  }

  const Spec s_;
  const int64_t groups_;  // C / block
  const int64_t plane_;   // floats of a group in one image
  const float count_;     // values of a channel
  // [group] What the last Train or Evaluate normalised with: mean and
  // 1 / sqrt(variance + epsilon).
  std::vector<Lanes> mean_, inverse_;
  std::vector<float> dscale_, dshift_;  // [C]
};

const RegisterKernel<BatchNormKernel, CpuBatchNorm> kRegistered("cpu");

}  // namespace
}  // namespace monsoon
