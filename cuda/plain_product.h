// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/cuda_queue.h"
#include "cuda/matmul.h"

namespace monsoon {

// CudaMatmul::Run by a kernel of our own, for what cuBLASLt does not have: any
// sizes, at any addresses that such numbers may have. Far from a GPU's limit,
// as each number of D reads its row and its column from memory. Operands of
// kTf32 are multiplied as the float32 that they are.
void EnqueuePlainProduct(CudaQueue& queue, const CudaMatmul::Spec& spec,
                         const void* a, const void* b, void* d, float alpha = 1,
                         float beta = 0, const void* bias = nullptr);

}  // namespace monsoon
