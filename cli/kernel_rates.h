// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "models/shape.h"
#include "worker/options.h"

// What `monsoon bench kernels` measures.
namespace monsoon {

// The work to be timed: model, batch size, optimizer, threads, seed and so on
// of `options`, on data made for it.
struct KernelJob {
  Options options;  // resolved; trainer is single
  Shape example{1, 28, 28};
  int classes = 10;
  // Only forward passes, as an evaluation makes them.
  bool evaluates = false;
};

struct KernelRates {
  double samples_per_s = 0;
  double gflops = 0;              // 2 x multiply-adds of the model x samples/s
  double gemm_gflops = 0;         // this machine's limit at the same moment
  std::vector<std::string> ways;  // Model::ways
};

// Times steps of one worker (gather, forward, loss, backward, optimizer) and
// oneDNN's sgemm of 2048 x 2048 x 2048 (of a GPU cuBLASLt's products: of the
// model's shapes in sequence where all layers are dense, else one of 8192) in
// turn, for about `duration` in all,
// and returns the median of each, so that both see the same machine.
// INVALID_ARGUMENT for settings that cannot be.
absl::StatusOr<KernelRates> MeasureKernels(const KernelJob& job,
                                           absl::Duration duration);

struct ScalingRates {
  double samples_per_s = 0;              // of all workers together
  double independent_samples_per_s = 0;  // of as many processes
};

// Times options.workers workers in this process with downpour (window 5,
// delta form) between them, and as many single processes, each pinned to a core
// of its own, in turn; medians. REQUIRES: no other threads yet (it forks).
absl::StatusOr<ScalingRates> MeasureScaling(const KernelJob& job,
                                            absl::Duration duration);

}  // namespace monsoon
