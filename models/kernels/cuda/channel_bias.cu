// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/bf16.h"
#include "base/check.h"
#include "cuda/launch.h"
#include "models/kernels/cuda/channel_bias.h"

namespace monsoon {
namespace {

// Enough parts of a sum to occupy a GPU, each large enough to be worth it.
constexpr int64_t kMostParts = 1024;
constexpr int64_t kLeastRows = 16;

template <typename From, typename To>
void AddBiasTo(CudaQueue& queue, const TensorOrder& order, const From* sums,
               const float* b, bool relu, To* y) {
  const auto channels = static_cast<uint32_t>(order.shape.channels);
  // Numbers of one channel that lie side by side.
  const auto run = static_cast<uint32_t>(
      order.block == 1 ? order.shape.height * order.shape.width : 1);
  ForIndex(queue, order.size(), [=] MONSOON_ELEMENT_LAMBDA(int64_t i) {
    const uint32_t channel = static_cast<uint32_t>(i) / run % channels;
    const float value = static_cast<float>(sums[i]) + b[channel];
    // NaN stays NaN, as it does without.
    y[i] = static_cast<To>(relu && value <= 0 ? 0 : value);
  });
}

struct SumOfFloats {
  float value = 0;
  MONSOON_ELEMENT void Add(const SumOfFloats& other) { value += other.value; }
};

bool HasChannelsOutsideOrInside(const TensorOrder& a) {
  return a.block == 1 || a.block == a.shape.channels;
}

}  // namespace

template <typename Number>
void AddBias(CudaQueue& queue, const TensorOrder& order, const void* sums,
             const float* b, bool relu, Number* y) {
  MONSOON_CHECK(HasChannelsOutsideOrInside(order), "a block of 1 or C");
  if (order.bf16) {
    AddBiasTo(queue, order, static_cast<const Bf16*>(sums), b, relu, y);
  } else {
    AddBiasTo(queue, order, static_cast<const float*>(sums), b, relu, y);
  }
}

template void AddBias(CudaQueue&, const TensorOrder&, const void*, const float*,
                      bool, float*);
template void AddBias(CudaQueue&, const TensorOrder&, const void*, const float*,
                      bool, Bf16*);

BiasGradient::BiasGradient(CudaQueue& queue, const TensorOrder& order)
    : queue_(queue),
      order_(order),
      rows_(order.size() / order.shape.channels),
      part_rows_(std::max(kLeastRows, (rows_ + kMostParts - 1) / kMostParts)),
      parts_((rows_ + part_rows_ - 1) / part_rows_),
      partial_(parts_ * order.shape.channels, queue),
      sums_(order.shape.channels, queue) {
  MONSOON_CHECK(HasChannelsOutsideOrInside(order), "a block of 1 or C");
}

void BiasGradient::Sum(const void* dy) {
  if (order_.bf16) {
    SumOf(static_cast<const Bf16*>(dy));
  } else {
    SumOf(static_cast<const float*>(dy));
  }
}

template <typename Number>
void BiasGradient::SumOf(const Number* dy) {
  const int64_t channels = order_.shape.channels;
  // Row r of channel c lies at r / run * run * C + c * run + r % run.
  const auto run = static_cast<uint32_t>(
      order_.block == 1 ? order_.shape.height * order_.shape.width : 1);
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
      sum += static_cast<float>(
          dy[(tensor * width + channel) * run + (r - tensor * run)]);
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
