// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/flat.h"
#include "cuda/cuda_queue.h"
#include "models/kernels/cuda/tensor_order.h"
#include "models/kernels/tensor_sink.h"

namespace monsoon {

// y = sums + b by channels, and max(y, 0) where `relu`. `sums` lies as
// `order` says; y likewise, but of its own type, Bf16 or float, and may be the
// same memory if that is the type of `sums`. REQUIRES: the block is 1 or C.
template <typename Number>
void AddBias(CudaQueue& queue, const TensorOrder& order, const void* sums,
             const float* b, bool relu, Number* y);

// The sum of an activation's gradient over all but the channels.
class BiasGradient {
 public:
  // REQUIRES: the block is 1 or C.
  BiasGradient(CudaQueue& queue, const TensorOrder& order);

  // Of numbers of the order's type.
  void Sum(const void* dy);
  // What was summed last.
  void HandOn(const TensorSink& db) { db.Take(sums_.data(), sums_.size()); }

  // Public because a device function cannot lie in a private one.
  template <typename Number>
  void SumOf(const Number* dy);

 private:
  CudaQueue& queue_;
  TensorOrder order_;
  int64_t rows_, part_rows_, parts_;  // numbers of a channel, in all and a part
  Flat partial_;                      // [parts, C]
  Flat sums_;                         // [C]
};

}  // namespace monsoon
