// SPDX-License-Identifier: Apache-2.0
// cuBLASLt counts matrices by columns: what is row-major D = A B to us is
// D^T = B^T A^T to it, so its first operand is our B.
#include "cuda/matmul.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"

namespace monsoon {
namespace {

constexpr char kWhat[] = "preparing a matrix product";

cublasComputeType_t ComputeType(CudaMatmul::Operands operands) {
  return operands == CudaMatmul::Operands::kTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                 : CUBLAS_COMPUTE_32F;
}

uint32_t AlignmentOf(const void* pointer) {
  // The address of nothing is aligned to everything.
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  return static_cast<uint32_t>(
      std::min<uintptr_t>(256, address == 0 ? 256 : address & -address));
}

}  // namespace

CudaMatmul::CudaMatmul(const Spec& spec, CudaQueue& queue)
    : spec_(spec), queue_(queue) {
  if (!queue_.Enter() || queue_.cublaslt() == nullptr) return;
  cublasLtMatmulDesc_t operation = nullptr;
  if (!queue_.Check(cublasLtMatmulDescCreate(
                        &operation, ComputeType(spec.operands), CUDA_R_32F),
                    kWhat)) {
    return;
  }
  operation_.reset(operation);
  Set(CUBLASLT_MATMUL_DESC_TRANSA,
      spec.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  Set(CUBLASLT_MATMUL_DESC_TRANSB,
      spec.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (spec.epilogue != Epilogue::kNone) {
    Set(CUBLASLT_MATMUL_DESC_EPILOGUE, spec.epilogue == Epilogue::kBias
                                           ? CUBLASLT_EPILOGUE_BIAS
                                           : CUBLASLT_EPILOGUE_RELU_BIAS);
    Set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_32F);
  }
  const cudaDataType type =
      spec.operands == Operands::kBf16 ? CUDA_R_16BF : CUDA_R_32F;
  const auto [a_width, a_height] = spec.a_transposed
                                       ? std::pair(spec.rows, spec.depth)
                                       : std::pair(spec.depth, spec.rows);
  const auto [b_width, b_height] = spec.b_transposed
                                       ? std::pair(spec.depth, spec.columns)
                                       : std::pair(spec.columns, spec.depth);
  a_ = MakeLayout(type, a_width, a_height, spec.a_stride);
  b_ = MakeLayout(type, b_width, b_height, spec.b_stride);
  d_ = MakeLayout(CUDA_R_32F, spec.columns, spec.rows, 0);
  queue_.workspace();
}

CudaMatmul::Layout CudaMatmul::MakeLayout(cudaDataType type, int64_t width,
                                          int64_t height, int64_t stride) {
  cublasLtMatrixLayout_t layout = nullptr;
  queue_.Check(cublasLtMatrixLayoutCreate(
                   &layout, type, static_cast<uint64_t>(width),
                   static_cast<uint64_t>(height), stride == 0 ? width : stride),
               kWhat);
  return Layout(layout);
}

template <typename T>
void CudaMatmul::Set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
  queue_.Check(cublasLtMatmulDescSetAttribute(operation_.get(), attribute,
                                              &value, sizeof value),
               kWhat);
}

const cublasLtMatmulAlgo_t* CudaMatmul::AlgorithmFor(
    const Alignments& alignments) {
  const auto known = algorithms_.find(alignments);
  if (known != algorithms_.end()) return &known->second;
  cublasLtMatmulPreference_t preference = nullptr;
  if (!queue_.Check(cublasLtMatmulPreferenceCreate(&preference), kWhat)) {
    return nullptr;
  }
  const Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>
      owned(preference);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute,
                       auto value) {
    queue_.Check(cublasLtMatmulPreferenceSetAttribute(preference, attribute,
                                                      &value, sizeof value),
                 kWhat);
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
      uint64_t{CudaQueue::kWorkspaceBytes});
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignments[1]);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignments[0]);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignments[2]);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignments[2]);
  cublasLtMatmulHeuristicResult_t best;
  int found = 0;
  if (!queue_.Check(cublasLtMatmulAlgoGetHeuristic(
                        queue_.cublaslt(), operation_.get(), b_.get(), a_.get(),
                        d_.get(), d_.get(), preference, 1, &best, &found),
                    absl::StrCat("choosing a product of ", spec_.rows, " x ",
                                 spec_.depth, " x ", spec_.columns))) {
    return nullptr;
  }
  if (found == 0) {
    queue_.Fail(absl::UnimplementedError(absl::StrCat(
        "cuBLASLt has no product of ", spec_.rows, " x ", spec_.depth, " x ",
        spec_.columns, " for this GPU; use another --precision")));
    return nullptr;
  }
  return &algorithms_.emplace(alignments, best.algo).first->second;
}

void CudaMatmul::Run(const void* a, const void* b, float* d, float alpha,
                     float beta, const float* bias) {
  if (!queue_.Enter()) return;
  if (spec_.epilogue != Epilogue::kNone) {
    Set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  }
  const cublasLtMatmulAlgo_t* const algorithm =
      AlgorithmFor({AlignmentOf(a), AlignmentOf(b), AlignmentOf(d)});
  if (algorithm == nullptr || !queue_.ok()) return;
  queue_.Check(cublasLtMatmul(queue_.cublaslt(), operation_.get(), &alpha, b,
                              b_.get(), a, a_.get(), &beta, d, d_.get(), d,
                              d_.get(), algorithm, queue_.workspace(),
                              CudaQueue::kWorkspaceBytes, queue_.stream()),
               "a matrix product");
}

}  // namespace monsoon
