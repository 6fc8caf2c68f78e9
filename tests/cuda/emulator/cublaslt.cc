// SPDX-License-Identifier: Apache-2.0
// The functions of cuBLASLt that we call (cuda/cublaslt_functions.cc), by plain
// loops: matrices by columns, as the library counts them.
#include <cublasLt.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "tests/cuda/emulator/emulator.h"

namespace {

struct Layout {
  cudaDataType type;
  uint64_t rows, columns;
  int64_t leading;
};

struct Operation {
  cublasComputeType_t compute;
  cublasOperation_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const float* bias = nullptr;
};

struct Preference {
  uint64_t workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};
};

// What the heuristic remembers in the opaque algorithm.
struct Algorithm {
  uint32_t alignment[4];
  uint64_t workspace;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

const Layout& Of(cublasLtMatrixLayout_t layout) {
  return *reinterpret_cast<const Layout*>(layout);
}
Operation& Of(cublasLtMatmulDesc_t operation) {
  return *reinterpret_cast<Operation*>(operation);
}

bool IsKnown(cudaDataType type) {
  return type == CUDA_R_32F || type == CUDA_R_16BF;
}

// Element i of a matrix, as the product takes it.
float Load(const void* matrix, cudaDataType type, int64_t i, bool tf32) {
  uint32_t bits = 0;
  if (type == CUDA_R_16BF) {
    uint16_t upper;
    std::memcpy(&upper, static_cast<const uint16_t*>(matrix) + i, sizeof upper);
    bits = uint32_t{upper} << 16;
  } else {
    std::memcpy(&bits, static_cast<const float*>(matrix) + i, sizeof bits);
    // To nearest, ties away from zero: thirteen bits less.
    if (tf32) bits = (bits + 0x1000u) & 0xffffe000u;
  }
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// What cublasLtMatmul was called with; a copy outlives the call.
struct Product {
  Operation operation;
  Layout a_layout, b_layout, d_layout;
  const void *a, *b;
  float* d;
  float alpha, beta;

  uint64_t depth() const {
    return operation.transpose_a == CUBLAS_OP_N ? a_layout.columns
                                                : a_layout.rows;
  }
  bool fits() const {
    const bool at = operation.transpose_a != CUBLAS_OP_N;
    const bool bt = operation.transpose_b != CUBLAS_OP_N;
    const uint64_t rows = at ? a_layout.columns : a_layout.rows;
    const uint64_t columns = bt ? b_layout.rows : b_layout.columns;
    const uint64_t depth_b = bt ? b_layout.columns : b_layout.rows;
    return rows == d_layout.rows && columns == d_layout.columns &&
           depth() == depth_b && a_layout.type == b_layout.type &&
           d_layout.type == CUDA_R_32F;
  }
  void Run() const {
    const bool tf32 = operation.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    const auto step = [](const Layout& layout, bool transposed, uint64_t row,
                         uint64_t column) {
      if (transposed) std::swap(row, column);
      return static_cast<int64_t>(row) +
             static_cast<int64_t>(column) * layout.leading;
    };
    for (uint64_t j = 0; j < d_layout.columns; ++j) {
      for (uint64_t i = 0; i < d_layout.rows; ++i) {
        float sum = 0;
        for (uint64_t k = 0; k < depth(); ++k) {
          sum +=
              Load(a, a_layout.type,
                   step(a_layout, operation.transpose_a != CUBLAS_OP_N, i, k),
                   tf32) *
              Load(b, b_layout.type,
                   step(b_layout, operation.transpose_b != CUBLAS_OP_N, k, j),
                   tf32);
        }
        float& to = d[step(d_layout, false, i, j)];
        // Not read with beta 0.
        float value = beta == 0 ? alpha * sum : alpha * sum + beta * to;
        if (operation.epilogue & CUBLASLT_EPILOGUE_BIAS) {
          value += operation.bias[i];
        }
        if (operation.epilogue & CUBLASLT_EPILOGUE_RELU) {
          value = value > 0 ? value : 0;
        }
        to = value;
      }
    }
  }
};

bool IsAligned(const void* pointer, uint32_t bytes) {
  return pointer != nullptr &&
         reinterpret_cast<uintptr_t>(pointer) % bytes == 0;
}

template <typename T>
bool Take(T& to, const void* from, size_t bytes) {
  if (bytes != sizeof(T)) return false;
  std::memcpy(&to, from, bytes);
  return true;
}

cublasStatus_t Answer(bool ok) {
  return ok ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(new int);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<int*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}

const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_INVALID_VALUE ? "an invalid value"
                                               : "an emulated status";
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout,
                                          cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t leading) {
  if (!IsKnown(type) || rows == 0 || columns == 0 ||
      leading < static_cast<int64_t>(rows)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  *layout = reinterpret_cast<cublasLtMatrixLayout_t>(
      new Layout{type, rows, columns, leading});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete reinterpret_cast<Layout*>(layout);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* operation,
                                        cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  if (scale != CUDA_R_32F || (compute != CUBLAS_COMPUTE_32F &&
                              compute != CUBLAS_COMPUTE_32F_FAST_TF32)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  *operation =
      reinterpret_cast<cublasLtMatmulDesc_t>(new Operation{.compute = compute});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
  delete reinterpret_cast<Operation*>(operation);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(
    cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute,
    const void* value, size_t bytes) {
  Operation& o = Of(operation);
  cudaDataType type;
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return Answer(Take(o.transpose_a, value, bytes));
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return Answer(Take(o.transpose_b, value, bytes));
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return Answer(Take(o.epilogue, value, bytes));
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return Answer(Take(o.bias, value, bytes));
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return Answer(Take(type, value, bytes) && type == CUDA_R_32F);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(
    cublasLtMatmulPreference_t* preference) {
  *preference = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(
    cublasLtMatmulPreference_t preference) {
  delete reinterpret_cast<Preference*>(preference);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t preference,
    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
    size_t bytes) {
  auto& p = *reinterpret_cast<Preference*>(preference);
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return Answer(Take(p.workspace, value, bytes));
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return Answer(Take(p.alignment[0], value, bytes));
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return Answer(Take(p.alignment[1], value, bytes));
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return Answer(Take(p.alignment[2], value, bytes));
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return Answer(Take(p.alignment[3], value, bytes));
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
    cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
    cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int wanted,
    cublasLtMatmulHeuristicResult_t results[], int* found) {
  const Product product{.operation = Of(operation),
                        .a_layout = Of(a),
                        .b_layout = Of(b),
                        .d_layout = Of(d)};
  const bool same = std::memcmp(&Of(c), &Of(d), sizeof(Layout)) == 0;
  if (wanted < 1 || !product.fits() || !same) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const auto& p = *reinterpret_cast<Preference*>(preference);
  Algorithm algorithm{.workspace = p.workspace};
  std::memcpy(algorithm.alignment, p.alignment, sizeof p.alignment);
  results[0] = {};
  std::memcpy(&results[0].algo, &algorithm, sizeof algorithm);
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void* alpha,
    const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
    cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
    cublasLtMatrixLayout_t, void* d, cublasLtMatrixLayout_t d_layout,
    const cublasLtMatmulAlgo_t* algorithm, void* workspace,
    size_t workspace_bytes, cudaStream_t stream) {
  Algorithm chosen;
  std::memcpy(&chosen, algorithm, sizeof chosen);
  const Product product{.operation = Of(operation),
                        .a_layout = Of(a_layout),
                        .b_layout = Of(b_layout),
                        .d_layout = Of(d_layout),
                        .a = a,
                        .b = b,
                        .d = static_cast<float*>(d),
                        .alpha = *static_cast<const float*>(alpha),
                        .beta = *static_cast<const float*>(beta)};
  const bool wants_bias = product.operation.epilogue & CUBLASLT_EPILOGUE_BIAS;
  if (handle == nullptr || !product.fits() || c != d ||
      !IsAligned(a, chosen.alignment[0]) ||
      !IsAligned(b, chosen.alignment[1]) ||
      !IsAligned(d, chosen.alignment[3]) || !IsAligned(workspace, 256) ||
      workspace_bytes < chosen.workspace ||
      (wants_bias && product.operation.bias == nullptr)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const cudaError_t enqueued =
      monsoon::emulator::Enqueue(stream, [product] { product.Run(); });
  return enqueued == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                 : CUBLAS_STATUS_EXECUTION_FAILED;
}
