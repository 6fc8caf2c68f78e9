// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/element.h"
#include "base/flat.h"
#include "cuda/cuda_queue.h"
#include "models/shape.h"

namespace monsoon {

// How a batch of activations, or a convolution's weights, lies in a GPU's
// memory: [N, C / block, H, W, block] (see Value), float32 or bfloat16. N batch
// or what else counts tensors. Fewer than 2^31 numbers.
struct TensorOrder {
  int64_t batch;
  Shape shape;
  int64_t block = 1;
  bool bf16 = false;

  int64_t size() const { return batch * shape.size(); }
  int64_t floats() const { return bf16 ? (size() + 1) / 2 : size(); }
  // Whether numbers lie alike, but for their type.
  bool IsOrderedLike(const TensorOrder& other) const {
    return block == other.block || shape.height * shape.width == 1;
  }
  // Whether one may be read as the other.
  bool IsLike(const TensorOrder& other) const {
    return IsOrderedLike(other) && bf16 == other.bf16;
  }
  bool operator==(const TensorOrder&) const = default;
};

// Where a number of a tensor lies, in 32 bits, as a GPU divides slowly.
struct Places {
  uint32_t channels, height, width, block;

  explicit Places(const TensorOrder& a)
      : channels(static_cast<uint32_t>(a.shape.channels)),
        height(static_cast<uint32_t>(a.shape.height)),
        width(static_cast<uint32_t>(a.shape.width)),
        block(static_cast<uint32_t>(a.block)) {}

  struct At {
    uint32_t n, channel, row, column;
  };
  MONSOON_ELEMENT At Of(int64_t index) const {
    auto i = static_cast<uint32_t>(index);
    const uint32_t lane = i % block;
    i /= block;
    const uint32_t column = i % width;
    i /= width;
    const uint32_t row = i % height;
    i /= height;
    const uint32_t groups = channels / block;
    return {i / groups, i % groups * block + lane, row, column};
  }
  MONSOON_ELEMENT int64_t IndexOf(const At& at) const {
    const uint32_t group = at.n * (channels / block) + at.channel / block;
    return ((group * height + at.row) * width + at.column) * block +
           at.channel % block;
  }
};

// Copies between two ways of lying. REQUIRES: equal batch and shape.
void Convert(CudaQueue& queue, const TensorOrder& from, const void* source,
             const TensorOrder& to, void* target);

// A tensor that callers keep in one way and a library wants in another: the
// same memory where the two agree, else a copy in memory of our own.
class TensorBridge {
 public:
  TensorBridge(CudaQueue& queue, const TensorOrder& outside,
               const TensorOrder& inside)
      : queue_(queue),
        outside_(outside),
        inside_(inside),
        same_(outside.IsLike(inside)),
        copy_(same_ ? 0 : inside.floats(), queue) {}

  // `data` as the library wants to read it.
  const void* Read(const void* data) {
    if (same_) return data;
    Convert(queue_, outside_, data, inside_, copy_.data());
    return copy_.data();
  }
  // The same once more: what was read last.
  const void* Reread(const void* data) { return same_ ? data : copy_.data(); }
  // Where the library shall write; Finish brings it to `data`.
  void* Write(void* data) { return same_ ? data : copy_.data(); }
  void Finish(void* data) {
    if (!same_) Convert(queue_, inside_, copy_.data(), outside_, data);
  }

 private:
  CudaQueue& queue_;
  TensorOrder outside_, inside_;
  bool same_;
  Flat copy_;
};

}  // namespace monsoon
