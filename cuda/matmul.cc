// SPDX-License-Identifier: Apache-2.0
// cuBLASLt counts matrices by columns: what is row-major D = A B to us is
// D^T = B^T A^T to it, so its first operand is our B.
#include "cuda/matmul.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cuda/plain_product.h"

namespace monsoon {
namespace {

constexpr char kWhat[] = "preparing a matrix product";
// What cudaMalloc gives, and the most that cuBLASLt asks about.
constexpr uint32_t kMostAligned = 256;
// Of a bias; preferences have no word for it, and some algorithms need it.
constexpr uint32_t kBiasAligned = 16;

cublasComputeType_t ComputeType(CudaMatmul::Operands operands) {
  return operands == CudaMatmul::Operands::kTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                 : CUBLAS_COMPUTE_32F;
}

uint32_t AlignmentOf(const void* pointer) {
  // The address of nothing is aligned to everything.
  const auto address = reinterpret_cast<uintptr_t>(pointer) | kMostAligned;
  return static_cast<uint32_t>(address & -address);
}

}  // namespace

CudaMatmul::CudaMatmul(const Spec& spec, CudaQueue& queue)
    : spec_(spec), queue_(queue) {
  if (!queue_.Enter() || queue_.cublaslt() == nullptr ||
      queue_.workspace() == nullptr) {
    return;
  }
  if (has_bias()) bias_ = Flat(spec_.columns, queue_);
  MakeOperation();
  MakeLayouts();
  // Now, not in the first run.
  AlgorithmFor({kMostAligned, kMostAligned, kMostAligned});
}

void CudaMatmul::MakeOperation() {
  cublasLtMatmulDesc_t operation = nullptr;
  if (!queue_.Check(cublasLtMatmulDescCreate(
                        &operation, ComputeType(spec_.operands), CUDA_R_32F),
                    kWhat)) {
    return;
  }
  operation_.reset(operation);
  Set(CUBLASLT_MATMUL_DESC_TRANSA,
      spec_.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  Set(CUBLASLT_MATMUL_DESC_TRANSB,
      spec_.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (!has_bias()) return;
  Set(CUBLASLT_MATMUL_DESC_EPILOGUE, spec_.epilogue == Epilogue::kBias
                                         ? CUBLASLT_EPILOGUE_BIAS
                                         : CUBLASLT_EPILOGUE_RELU_BIAS);
}

void CudaMatmul::MakeLayouts() {
  const cudaDataType type =
      spec_.operands == Operands::kBf16 ? CUDA_R_16BF : CUDA_R_32F;
  const auto [a_width, a_height] = spec_.a_transposed
                                       ? std::pair(spec_.rows, spec_.depth)
                                       : std::pair(spec_.depth, spec_.rows);
  const auto [b_width, b_height] = spec_.b_transposed
                                       ? std::pair(spec_.depth, spec_.columns)
                                       : std::pair(spec_.columns, spec_.depth);
  a_ = MakeLayout(type, a_width, a_height, spec_.a_stride);
  b_ = MakeLayout(type, b_width, b_height, spec_.b_stride);
  d_ = MakeLayout(spec_.rounds_d ? CUDA_R_16BF : CUDA_R_32F, spec_.columns,
                  spec_.rows, 0);
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

const CudaMatmul::Algorithm* CudaMatmul::AlgorithmFor(
    const Alignments& alignments) {
  if (!queue_.ok()) return nullptr;
  const auto known = algorithms_.find(alignments);
  if (known != algorithms_.end()) return &known->second;
  if (has_bias()) {
    // The choice goes by the address, and reads nothing there.
    Set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, uintptr_t{kBiasAligned});
  }
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
  // Parts of a sum are not rounded to what the result is rounded to.
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignments[1]);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignments[0]);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignments[2]);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignments[2]);
  Algorithm chosen;
  if (!queue_.ok() || !Choose(preference, chosen)) return nullptr;
  return &algorithms_.emplace(alignments, chosen).first->second;
}

bool CudaMatmul::Choose(cublasLtMatmulPreference_t preference,
                        Algorithm& chosen) {
  constexpr int kMost = 4;  // of which the first should do
  cublasLtMatmulHeuristicResult_t results[kMost] = {};
  int found = 0;
  cublasStatus_t answer = cublasLtMatmulAlgoGetHeuristic(
      queue_.cublaslt(), operation_.get(), b_.get(), a_.get(), d_.get(),
      d_.get(), preference, kMost, results, &found);
  if (answer == CUBLAS_STATUS_SUCCESS) {
    for (int i = 0; i < found; ++i) {
      if (results[i].state == CUBLAS_STATUS_SUCCESS &&
          results[i].workspaceSize <= CudaQueue::kWorkspaceBytes) {
        chosen = results[i].algo;
        return true;
      }
    }
    answer = CUBLAS_STATUS_NOT_SUPPORTED;
  }
  // It says INVALID_VALUE too of some matrices of one row or column.
  if (answer == CUBLAS_STATUS_NOT_SUPPORTED ||
      answer == CUBLAS_STATUS_INVALID_VALUE) {
    refused_ = cublasLtGetStatusString(answer);
    return true;
  }
  return queue_.Check(
      answer,
      absl::StrCat("choosing a way to compute a product of ", spec_.rows, " x ",
                   spec_.depth, " by ", spec_.depth, " x ", spec_.columns));
}

std::string CudaMatmul::way() const {
  if (refused_.empty()) return "cublaslt";
  return absl::StrCat("a plain kernel, as cuBLASLt answers ", refused_);
}

const void* CudaMatmul::AlignedBias(const void* bias) {
  if (AlignmentOf(bias) >= kBiasAligned) return bias;
  // cuBLASLt takes a bias for what D is, unless it is told otherwise.
  const size_t size = spec_.rounds_d ? sizeof(uint16_t) : sizeof(float);
  queue_.Copy(bias_.data(), bias, static_cast<size_t>(spec_.columns) * size);
  return bias_.data();
}

void CudaMatmul::Run(const void* a, const void* b, void* d, float alpha,
                     float beta, const void* bias) {
  if (!queue_.Enter()) return;
  const Algorithm* const algorithm =
      AlgorithmFor({AlignmentOf(a), AlignmentOf(b), AlignmentOf(d)});
  if (algorithm == nullptr) return;
  if (!algorithm->has_value()) {
    EnqueuePlainProduct(queue_, spec_, a, b, d, alpha, beta, bias);
    return;
  }
  if (has_bias()) Set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, AlignedBias(bias));
  if (!queue_.ok()) return;
  queue_.Check(cublasLtMatmul(queue_.cublaslt(), operation_.get(), &alpha, b,
                              b_.get(), a, a_.get(), &beta, d, d_.get(), d,
                              d_.get(), &**algorithm, queue_.workspace(),
                              CudaQueue::kWorkspaceBytes, queue_.stream()),
               "a matrix product");
}

}  // namespace monsoon
