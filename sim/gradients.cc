// SPDX-License-Identifier: Apache-2.0
#include "sim/gradients.h"

#include <algorithm>
#include <array>

#include "base/random.h"

namespace monsoon {
namespace {

// Of a gradient, handed on at once: stays in the first cache.
constexpr int64_t kChunk = 2048;

// In [-1, 1), a multiple of 2^-23: a hash of both numbers (the finalizer of
// MurmurHash3), which the compiler can do for several i at once.
float Noise(uint32_t key, uint32_t i) {
  uint32_t h = (i + 1) * 0x9e3779b9u ^ key;
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h *= 0xc2b2ae35u;
  h ^= h >> 16;
  return static_cast<float>(static_cast<int32_t>(h >> 8) - (1 << 23)) *
         0x1p-23f;
}

float Minimum(uint32_t i) { return Noise(0, i); }

}  // namespace

int64_t BatchPlan::SamplesOf(int64_t index) const {
  const int64_t in_epoch = index % batches_per_epoch();
  return std::min(batch_size, partition - in_epoch * batch_size);
}

int64_t BatchPlan::SamplesBefore(int64_t index) const {
  if (index == 0) return 0;
  const int64_t in_epoch = index % batches_per_epoch();
  return index / batches_per_epoch() * partition + in_epoch * batch_size;
}

QuadraticSource::QuadraticSource(const BatchPlan& plan, uint64_t seed,
                                 int worker)
    : plan_(plan),
      key_(static_cast<uint32_t>(
          Random({seed, Random::kNoise, static_cast<uint64_t>(worker)})
              .Next())) {}

int QuadraticSource::Next() {
  if (next_ == plan_.batches()) return 0;
  return static_cast<int>(plan_.SamplesOf(next_++));
}

Losses QuadraticSource::Gradient(Flat& x, const GradientSink& sink) {
  const uint32_t key = key_ ^ (static_cast<uint32_t>(next_) * 0x27d4eb2fu);
  std::array<float, kChunk> room;
  float loss = 0;
  for (int64_t at = 0; at < x.size(); at += kChunk) {
    const int64_t size = std::min(kChunk, x.size() - at);
    const float* const from = x.data() + at;
    for (int64_t i = 0; i < size; ++i) {
      const auto index = static_cast<uint32_t>(at + i);
      room[static_cast<size_t>(i)] =
          from[i] - Minimum(index) + Noise(key, index);
    }
    if (at == 0) {
      for (int64_t i = 0; i < size; ++i) {
        const float way = from[i] - Minimum(static_cast<uint32_t>(i));
        loss += way * way;
      }
      loss /= 2 * static_cast<float>(size);
    }
    const Flat gradient = Flat::View(room.data(), size);
    const bool is_handed_on =
        sink.listener != nullptr && sink.beta == 0 && sink.scale == 1;
    if (!is_handed_on) {
      Flat into = sink.into.Slice(at, size);
      if (sink.beta == 0) {
        ForEach([s = sink.scale](float& to, float g) { to = s * g; }, into,
                gradient);
      } else {
        ForEach([s = sink.scale, b = sink.beta](
                    float& to, float g) { to = b * to + s * g; },
                into, gradient);
      }
      if (sink.listener != nullptr) sink.listener->Take(at, into);
    } else {
      sink.listener->Take(at, gradient);
    }
  }
  const int64_t samples = plan_.SamplesOf(next_ - 1);
  return {double{loss} * static_cast<double>(samples), samples};
}

double QuadraticSource::Value(const Flat& x) {
  double sum = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    const double way = double{x[i]} - Minimum(static_cast<uint32_t>(i));
    sum += way * way;
  }
  return sum / (2 * static_cast<double>(x.size()));
}

}  // namespace monsoon
