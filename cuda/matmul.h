// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublasLt.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "base/flat.h"
#include "cuda/cuda_queue.h"

namespace monsoon {

// D = alpha op(A) op(B) + beta D by cuBLASLt, all row-major: op(A)
// [rows, depth], op(B) [depth, columns], D [rows, columns]. Made once for its
// sizes; a run allocates nothing on the GPU and may be recorded. What cuBLASLt
// does not have, a kernel of our own computes (cuda/plain_product.h).
// The algorithm is what cuBLASLt holds for the best, not what was the fastest
// in a trial: so a run repeated gives the same bits.
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
    // D, and the bias with it, are __nv_bfloat16, not float. REQUIRES: kBf16
    // operands.
    bool rounds_d = false;
  };

  // Where there is no memory, the queue has failed.
  CudaMatmul(const Spec& spec, CudaQueue& queue);

  // A and B are float, or __nv_bfloat16 for kBf16; at any addresses that such
  // numbers may have. `bias` is read where the epilogue has one. With beta 0, D
  // is not read.
  void Run(const void* a, const void* b, void* d, float alpha = 1,
           float beta = 0, const void* bias = nullptr);

  // "cublaslt", or why some runs so far were those of our own kernel: for
  // people.
  std::string way() const;

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

  bool has_bias() const { return spec_.epilogue != Epilogue::kNone; }
  void MakeOperation();
  void MakeLayouts();
  Layout MakeLayout(cudaDataType type, int64_t width, int64_t height,
                    int64_t stride);
  template <typename T>
  void Set(cublasLtMatmulDescAttributes_t attribute, const T& value);
  // Nothing: cuBLASLt has none.
  using Algorithm = std::optional<cublasLtMatmulAlgo_t>;
  // Found when first asked for; null where the queue has failed.
  const Algorithm* AlgorithmFor(const Alignments& alignments);
  // False where the queue has failed.
  bool Choose(cublasLtMatmulPreference_t preference, Algorithm& chosen);
  // The same numbers, where cuBLASLt can read them.
  const void* AlignedBias(const void* bias);

  const Spec spec_;
  CudaQueue& queue_;
  Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> operation_;
  Layout a_, b_, d_;
  Flat bias_;
  std::map<Alignments, Algorithm> algorithms_;
  std::string refused_;  // how cuBLASLt put it
};

}  // namespace monsoon
