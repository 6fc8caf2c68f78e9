// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/flat.h"
#include "cuda/cuda_queue.h"
#include "models/kernels/cuda/tensor_order.h"
#include "models/kernels/tensor_sink.h"

namespace monsoon {

// y = sums + b by channels, and max(y, 0) where `relu`. `sums` lies as
// `order` says; y likewise, but float32, and may be the same memory.
void AddBias(CudaQueue& queue, const TensorOrder& order, const void* sums,
             const float* b, bool relu, float* y);

// The sum of an activation's gradient over all but the channels.
class BiasGradient {
 public:
  // Of float32. REQUIRES: the block is 1 or C.
  BiasGradient(CudaQueue& queue, const TensorOrder& order);

  void Sum(const float* dy);
  // What was summed last.
  void HandOn(const TensorSink& db) { db.Take(sums_.data(), sums_.size()); }

 private:
  CudaQueue& queue_;
  TensorOrder order_;
  int64_t rows_, part_rows_, parts_;  // numbers of a channel, in all and a part
  Flat partial_;                      // [parts, C]
  Flat sums_;                         // [C]
};

}  // namespace monsoon
