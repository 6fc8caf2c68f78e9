// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/device_queue.h"
#include "models/precision.h"

// What cuBLASLt reaches on a GPU: what layers there are compared with, as those
// of the processor are with models/gemm_limit.h. Where the program was built
// without CUDA there is no queue to call these with, and they say so.
namespace monsoon {

// Products, and the GPU's time that they took: the shortest of some rounds.
struct GemmTime {
  double operations;  // additions and multiplications
  double seconds;
  double gflops() const { return 1e-9 * operations / seconds; }
};

// One product of three square matrices, which take up to 12 size^2 bytes of the
// GPU. Of bf16 the result is bfloat16 too. REQUIRES: the queue is a GPU's.
// What the queue says where it fails, or has failed before.
absl::StatusOr<GemmTime> MeasureCudaGemm(DeviceQueue& queue,
                                         Precision precision,
                                         int64_t size = 8192);

// A dense layer; see models/kernels/dense.h.
struct DenseShape {
  int64_t batch, inputs, outputs;
  bool input_gradient = true;  // not where nobody asks for dX
};

// The products of a training step of these layers, in its order and nothing
// else: X W^T of all, then from the last dY W and dY^T X. Of bf16 activations,
// their gradients and weights are bfloat16 in memory, and the weights'
// gradients float32: the best that a step could do. Each product has matrices
// of its own. REQUIRES: the queue is a GPU's, and there are layers.
absl::StatusOr<GemmTime> MeasureCudaDense(DeviceQueue& queue,
                                          Precision precision,
                                          absl::Span<const DenseShape> layers);

}  // namespace monsoon
