// SPDX-License-Identifier: Apache-2.0
// Batch normalisation: sums over each channel, in parts so that few channels
// fill a GPU as well, then a pass over all numbers.
#include <algorithm>
#include <cmath>

#include "base/flat.h"
#include "cuda/launch.h"
#include "models/kernels/batch_norm.h"
#include "models/kernels/cuda/blocks.h"
#include "models/kernels/cuda/device_array.h"

namespace monsoon {
namespace {

struct Sample {
  float value;
  bool is_there;
};

// Of values, as sums of their distances from the first: these are no larger
// than the values' spread, so that what they leave of it is exact to their
// number times a float's. Others are merged as in Chan, Golub, LeVeque 1979.
struct Moments {
  float count = 0, origin = 0, sum = 0, squares = 0;

  MONSOON_ELEMENT void Add(const Sample& sample) {
    if (!sample.is_there) return;
    if (count == 0) origin = sample.value;
    const float distance = sample.value - origin;
    count += 1;
    sum += distance;
    squares += distance * distance;
  }
  MONSOON_ELEMENT void Add(const Moments& other) {
    if (other.count == 0) return;
    if (count == 0) {
      *this = other;
      return;
    }
    const float all = count + other.count;
    const float mean = Mean();
    const float delta = other.Mean() - mean;
    squares = Deviations() + other.Deviations() +
              delta * delta * (count * (other.count / all));
    origin = mean + delta * (other.count / all);
    sum = 0;
    count = all;
  }
  // REQUIRES of both: there are values.
  MONSOON_ELEMENT float Mean() const { return origin + sum / count; }
  // The sum of squared deviations from the mean.
  MONSOON_ELEMENT float Deviations() const {
    const float rest = squares - sum * (sum / count);
    return rest < 0 ? 0 : rest;  // NaN stays
  }
};

// Sums over dy, and over dy (x - mean).
struct GradientSums {
  float plain = 0, product = 0;
  MONSOON_ELEMENT void Add(const GradientSums& other) {
    plain += other.plain;
    product += other.product;
  }
};

// y = (x - mean) factor + shift. Read at once, as is the next.
struct alignas(16) Normal {
  float mean, factor, shift;
};
// dx = factor (dy - offset - (x - mean) slope)
struct alignas(16) NormalGradient {
  float mean, factor, offset, slope;
};

// How the N * H * W values of each channel are summed.
struct Parts {
  int64_t channels, values;
  int64_t parts, width;  // of each channel; values in a part
  bool are_neighbours;   // equal values of neighbouring channels, in memory

  Parts(const BatchNormSpec& s)
      : channels(s.shape.channels),
        values(s.batch * s.shape.height * s.shape.width),
        are_neighbours(s.block > 1 || s.shape.height * s.shape.width == 1) {
    // Rows that fill a GPU, if they keep their threads busy.
    const int64_t most = are_neighbours ? 32768 : 1024;
    const int64_t least_width = are_neighbours ? 128 : 1024;
    parts = std::clamp(std::min(most / channels, values / least_width),
                       int64_t{1}, int64_t{1024});
    width = (values + parts - 1) / parts;
  }
};

// done(channel, sum of term(channel, place in memory, whether it is one) over a
// channel's values); scratch has room for all parts of all channels.
template <typename Sum, typename Term, typename Done>
void SumChannels(CudaQueue& queue, const Parts& p, const BlockOrder& order,
                 const Divisor& by_space, Sum* scratch, Term term, Done done) {
  const int64_t parts = p.parts;
  const auto value = [order, by_space, by_channels = Divisor(p.channels),
                      width = p.width, values = p.values,
                      term] MONSOON_ELEMENT_LAMBDA(int64_t row, int64_t i) {
    const auto part = by_channels(row);
    const int64_t index = part.quotient * width + i;
    const auto at = by_space(index);
    const bool is_there = index < values;
    return term(
        part.remainder,
        is_there ? order.At({at.quotient, part.remainder, at.remainder}) : 0,
        is_there);
  };
  const auto keep = [by_channels = Divisor(p.channels), parts,
                     scratch] MONSOON_ELEMENT_LAMBDA(int64_t row,
                                                     const Sum& sum) {
    const auto part = by_channels(row);
    scratch[part.remainder * parts + part.quotient] = sum;
  };
  const int64_t rows = p.channels * parts;
  if (p.are_neighbours) {
    ForNeighbouringRows<Sum>(queue, rows, p.width, value, keep);
  } else {
    ForRows<Sum>(queue, rows, p.width, value, keep);
  }
  ForRows<Sum>(
      queue, p.channels, parts,
      [parts, scratch] MONSOON_ELEMENT_LAMBDA(int64_t channel, int64_t part) {
        return scratch[channel * parts + part];
      },
      done);
}

template <typename Number>
class CudaBatchNorm final : public BatchNormKernelOf<Number> {
 public:
  CudaBatchNorm(const BatchNormSpec& s, DeviceQueue& queue)
      : s_(s),
        parts_(s),
        order_(s.shape.channels, s.shape.height * s.shape.width, s.block),
        by_space_(s.shape.height * s.shape.width),
        queue_(CudaQueue::Of(queue)),
        moments_(s.shape.channels * parts_.parts, queue),
        sums_(s.shape.channels * parts_.parts, queue),
        normals_(s.shape.channels, queue),
        gradients_(s.shape.channels, queue),
        mean_(s.shape.channels, queue),
        inverse_(s.shape.channels, queue),
        dscale_(s.shape.channels, queue),
        dshift_(s.shape.channels, queue) {}

  void Train(const Number* x, const BatchNormAffine& affine,
             const BatchNormRunning& running, Number* y) override {
    SumChannels<Moments>(
        queue_, parts_, order_, by_space_, moments_.data(),
        [x] MONSOON_ELEMENT_LAMBDA(int64_t, int64_t at, bool is_there) {
          return Sample{is_there ? static_cast<float>(x[at]) : 0, is_there};
        },
        [affine, running, mean = mean_.data(), inverse = inverse_.data(),
         normals = normals_.data(), momentum = s_.momentum,
         epsilon = s_.epsilon,
         count = static_cast<float>(
             parts_.values)] MONSOON_ELEMENT_LAMBDA(int64_t c,
                                                    const Moments& all) {
          const float own = all.Mean();
          const float squares = all.Deviations();
          const float unbiased = squares / (count > 1 ? count - 1 : 1);
          running.mean[c] += momentum * (own - running.mean[c]);
          running.variance[c] += momentum * (unbiased - running.variance[c]);
          mean[c] = own;
          inverse[c] = 1 / sqrtf(squares / count + epsilon);
          normals[c] = {own, affine.scale[c] * inverse[c], affine.shift[c]};
        });
    Normalise(x, y);
  }

  void Evaluate(const Number* x, const BatchNormAffine& affine,
                const BatchNormRunning& running, Number* y) override {
    ForIndex(queue_, s_.shape.channels,
             [affine, running, normals = normals_.data(),
              epsilon = s_.epsilon] MONSOON_ELEMENT_LAMBDA(int64_t c) {
               const float inverse = 1 / sqrtf(running.variance[c] + epsilon);
               normals[c] = {running.mean[c], affine.scale[c] * inverse,
                             affine.shift[c]};
             });
    Normalise(x, y);
  }

  // With d = x - mean and m values a channel: dshift = sum dy, dscale = inverse
  // sum dy d, dx = scale inverse (dy - dshift / m - d inverse dscale / m).
  void Backward(const Number* x, const Number* dy, const float* scale,
                Number* dx, const TensorSink& dscale,
                const TensorSink& dshift) override {
    SumChannels<GradientSums>(
        queue_, parts_, order_, by_space_, sums_.data(),
        [x, dy, mean = mean_.data()] MONSOON_ELEMENT_LAMBDA(
            int64_t c, int64_t at, bool is_there) {
          if (!is_there) return GradientSums();
          const float gradient = static_cast<float>(dy[at]);
          return GradientSums{gradient,
                              gradient * (static_cast<float>(x[at]) - mean[c])};
        },
        [scale, mean = mean_.data(), inverse = inverse_.data(),
         gradients = gradients_.data(), to_scale = dscale_.data(),
         to_shift = dshift_.data(),
         count = static_cast<float>(
             parts_.values)] MONSOON_ELEMENT_LAMBDA(int64_t c,
                                                    const GradientSums& all) {
          to_scale[c] = all.product * inverse[c];
          to_shift[c] = all.plain;
          gradients[c] = {mean[c], scale[c] * inverse[c], all.plain / count,
                          inverse[c] * to_scale[c] / count};
        });
    if (dx != nullptr) {
      ForIndex(
          queue_, s_.batch * s_.shape.size(),
          [x, dy, dx, order = order_,
           gradients = gradients_.data()] MONSOON_ELEMENT_LAMBDA(int64_t i) {
            const NormalGradient g = gradients[order.Of(i).channel];
            const float distance = static_cast<float>(x[i]) - g.mean;
            const float rest = static_cast<float>(dy[i]) - g.offset;
            dx[i] = static_cast<Number>(g.factor * (rest - distance * g.slope));
          });
    }
    dscale.Take(dscale_.data(), s_.shape.channels);
    dshift.Take(dshift_.data(), s_.shape.channels);
  }

  // By normals_. Public because a device function cannot lie in a private one.
  void Normalise(const Number* x, Number* y) {
    ForIndex(queue_, s_.batch * s_.shape.size(),
             [x, y, order = order_,
              normals = normals_.data()] MONSOON_ELEMENT_LAMBDA(int64_t i) {
               const Normal n = normals[order.Of(i).channel];
               const float distance = static_cast<float>(x[i]) - n.mean;
               y[i] = static_cast<Number>(distance * n.factor + n.shift);
             });
  }

 private:
  const BatchNormSpec s_;
  const Parts parts_;
  const BlockOrder order_;
  const Divisor by_space_;
  CudaQueue& queue_;
  // [channel][part]
  DeviceArray<Moments> moments_;
  DeviceArray<GradientSums> sums_;
  // [channel]
  DeviceArray<Normal> normals_;
  DeviceArray<NormalGradient> gradients_;
  DeviceArray<float> mean_, inverse_;  // of the last Train
  DeviceArray<float> dscale_, dshift_;
};

const RegisterKernels<BatchNormKernelOf, CudaBatchNorm> kRegistered("cuda");

}  // namespace
}  // namespace monsoon
