// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "models/kernels/dense.h"

// The ways to compute a dense layer on the CPU, one file each; dense.cc picks
// one. One thread at a time; inside, work is shared by the caller's OpenMP
// threads.
namespace monsoon {

// Over oneDNN's sgemm.
std::unique_ptr<DenseKernel> MakeSgemmDense(const DenseKernel::Spec& spec);

// Over products of our own for eight lanes, which suit the few rows of a batch
// better and hand on gradients while they are in cache.
std::unique_ptr<DenseKernel> MakeTiledDense(const DenseKernel::Spec& spec);

// Over products of bfloat16: for Precision::kBf16, whatever the Spec says.
absl::StatusOr<std::unique_ptr<DenseKernel>> MakeBf16Dense(
    const DenseKernel::Spec& spec);

}  // namespace monsoon
