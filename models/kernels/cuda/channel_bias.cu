// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/cuda/channel_bias.h"

#include <algorithm>

#include "base/check.h"
#include "cuda/launch.h"
#include "models/kernels/cuda/bf16.h"

namespace monsoon {
namespace {

// Enough parts of a sum to occupy a GPU, each large enough to be worth it.
constexpr int64_t kMostParts = 1024;
constexpr int64_t kLeastRows = 16;

template <typename Number>
void AddBiasTo(CudaQueue& queue, const Activation& activation,
               const Number* sums, const float* b, bool relu, float* y) {
  const auto channels = static_cast<uint32_t>(activation.shape.channels);
  // Numbers of one channel that lie side by side.
  const auto run = static_cast<uint32_t>(
      activation.block == 1
          ? activation.shape.height * activation.shape.width
          : 1);
  ForIndex(queue, activation.size(),
           [=] MONSOON_ELEMENT_LAMBDA(int64_t i) {
             const uint32_t channel =
                 static_cast<uint32_t>(i) / run % channels;
             const float value = static_cast<float>(sums[i]) + b[channel];
             // NaN stays NaN, as it does without.
             y[i] = relu && value <= 0 ? 0 : value;
           });
}

struct SumOfFloats {
  float value = 0;
  MONSOON_ELEMENT void Add(const SumOfFloats& other) { value += other.value; }
};

bool HasChannelsOutsideOrInside(const Activation& a) {
  return a.block == 1 || a.block == a.shape.channels;
}

}  // namespace

void AddBias(CudaQueue& queue, const Activation& activation, const void* sums,
             const float* b, bool relu, float* y) {
  MONSOON_CHECK(HasChannelsOutsideOrInside(activation), "a block of 1 or C");
  if (activation.bf16) {
    AddBiasTo(queue, activation, static_cast<const Bf16*>(sums), b, relu, y);
  } else {
    AddBiasTo(queue, activation, static_cast<const float*>(sums), b, relu, y);
  }
}

BiasGradient::BiasGradient(CudaQueue& queue, const Activation& activation)
    : queue_(queue),
      activation_(activation),
      rows_(activation.size() / activation.shape.channels),
      part_rows_(std::max(kLeastRows, (rows_ + kMostParts - 1) / kMostParts)),
      parts_((rows_ + part_rows_ - 1) / part_rows_),
      partial_(parts_ * activation.shape.channels, queue),
      sums_(activation.shape.channels, queue) {
  MONSOON_CHECK(HasChannelsOutsideOrInside(activation), "a block of 1 or C");
}

void BiasGradient::Sum(const float* dy) {
  const int64_t channels = activation_.shape.channels;
  // Row r of channel c lies at r / run * run * C + c * run + r % run.
  const auto run = static_cast<uint32_t>(
      activation_.block == 1
          ? activation_.shape.height * activation_.shape.width
          : 1);
  const auto width = static_cast<uint32_t>(channels);
  const auto rows = static_cast<uint32_t>(rows_);
  const auto part_rows = static_cast<uint32_t>(part_rows_);
  float* const partial = partial_.data();
  float* const sums = sums_.data();
  // Neighbouring threads take neighbouring channels.
  ForIndex(queue_, partial_.size(), [=] MONSOON_ELEMENT_LAMBDA(int64_t i) {
    const uint32_t channel = static_cast<uint32_t>(i) % width;
    const uint32_t begin = static_cast<uint32_t>(i) / width * part_rows;
    const uint32_t end = begin + part_rows < rows ? begin + part_rows : rows;
    float sum = 0;
    for (uint32_t r = begin; r < end; ++r) {
      const uint32_t tensor = r / run;
      sum += dy[(tensor * width + channel) * run + (r - tensor * run)];
    }
    partial[i] = sum;
  });
  ForRows<SumOfFloats>(
      queue_, channels, parts_,
      [=] MONSOON_ELEMENT_LAMBDA(int64_t row, int64_t column) {
        return SumOfFloats{partial[column * channels + row]};
      },
      [=] MONSOON_ELEMENT_LAMBDA(int64_t row, const SumOfFloats& sum) {
        sums[row] = sum.value;
      });
}

}  // namespace monsoon
