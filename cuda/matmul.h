// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublasLt.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <type_traits>

#include "cuda/cuda_queue.h"

namespace monsoon {

// D = alpha op(A) op(B) + beta D by cuBLASLt, all row-major: op(A)
// [rows, depth], op(B) [depth, columns], D [rows, columns] float32. Made once
// for its sizes; a run allocates nothing and may be recorded, once the first
// one with pointers of the same alignment was not.
class CudaMatmul {
 public:
  // What A and B are, and how they are multiplied; sums are float32.
  enum class Operands {
    kFp32,
    kTf32,  // float32 in memory, of which ten bits are multiplied
    kBf16,
  };
  enum class Epilogue {
    kNone,
    kBias,  // + bias [columns]
    kBiasRelu,
  };
  struct Spec {
    int64_t rows, columns, depth;
    // As they lie in memory: A [depth, rows], B [columns, depth].
    bool a_transposed = false, b_transposed = false;
    // Numbers from one row to the next, in memory; 0: the row's own.
    int64_t a_stride = 0, b_stride = 0;
    Operands operands = Operands::kFp32;
    Epilogue epilogue = Epilogue::kNone;
  };

  // Where cuBLASLt cannot, the queue has failed.
  CudaMatmul(const Spec& spec, CudaQueue& queue);

  // A and B are float, or __nv_bfloat16 for kBf16. `bias` is read where the
  // epilogue has one. With beta 0, D is not read.
  void Run(const void* a, const void* b, float* d, float alpha = 1,
           float beta = 0, const float* bias = nullptr);

 private:
  template <typename Descriptor, cublasStatus_t (*kDestroy)(Descriptor)>
  struct Destroy {
    void operator()(Descriptor descriptor) const { kDestroy(descriptor); }
  };
  template <typename Descriptor, cublasStatus_t (*kDestroy)(Descriptor)>
  using Owned = std::unique_ptr<std::remove_pointer_t<Descriptor>,
                                Destroy<Descriptor, kDestroy>>;
  using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
  // Bytes that a, b and d are aligned to.
  using Alignments = std::array<uint32_t, 3>;

  Layout MakeLayout(cudaDataType type, int64_t width, int64_t height,
                    int64_t stride);
  template <typename T>
  void Set(cublasLtMatmulDescAttributes_t attribute, const T& value);
  // The best algorithm for pointers so aligned; null where there is none.
  const cublasLtMatmulAlgo_t* AlgorithmFor(const Alignments& alignments);

  const Spec spec_;
  CudaQueue& queue_;
  Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> operation_;
  Layout a_, b_, d_;
  std::map<Alignments, cublasLtMatmulAlgo_t> algorithms_;
};

}  // namespace monsoon
