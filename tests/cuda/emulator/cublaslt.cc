// SPDX-License-Identifier: Apache-2.0
// The functions of cuBLASLt that we call (cuda/cublaslt_functions.cc), by plain
// loops: matrices by columns, as the library counts them. Where the library may
// choose an algorithm that wants more of its operands, this one always does: so
// what would fail on some GPU fails here.
#include <cublasLt.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/cuda/emulator/emulator.h"

namespace {

struct Layout {
  cudaDataType type;
  uint64_t rows, columns;
  int64_t leading;

  bool operator==(const Layout&) const = default;
};

struct Operation {
  cublasComputeType_t compute;
  cublasOperation_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;  // of D's type
};

struct Preference {
  uint64_t workspace = 0;
  uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  uint32_t alignment[4] = {256, 256, 256, 256};
};

// What the heuristic remembers in the opaque algorithm.
struct Algorithm {
  uint64_t made_for;      // Fingerprint
  uint32_t alignment[5];  // of A, B, C, D and the bias
  uint64_t workspace;
  bool rounds_parts;  // of sums, to D's type
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

float Load(const void* matrix, cudaDataType type, int64_t i) {
  if (type == CUDA_R_32F) return static_cast<const float*>(matrix)[i];
  const uint32_t bits = uint32_t{static_cast<const uint16_t*>(matrix)[i]} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

void Store(float value, void* matrix, cudaDataType type, int64_t i) {
  if (type == CUDA_R_32F) {
    static_cast<float*>(matrix)[i] = value;
    return;
  }
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  // To nearest, ties to even; a NaN stays one.
  bits = std::isnan(value) ? bits | 0x400000u
                           : bits + 0x7fffu + ((bits >> 16) & 1u);
  static_cast<uint16_t*>(matrix)[i] = static_cast<uint16_t>(bits >> 16);
}

// Ten bits behind the one, to nearest, ties away from zero.
float RoundToTf32(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x1000u) & 0xffffe000u;
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

// What cublasLtMatmul was called with; a copy outlives the call.
struct Product {
  Operation operation;
  Layout a_layout, b_layout, c_layout, d_layout;
  const void *a, *b;
  void* d;
  float alpha, beta;
  bool rounds_parts;

  bool a_transposed() const { return operation.transpose_a != CUBLAS_OP_N; }
  bool b_transposed() const { return operation.transpose_b != CUBLAS_OP_N; }
  uint64_t depth() const {
    return a_transposed() ? a_layout.rows : a_layout.columns;
  }
  bool fits() const {
    const uint64_t rows = a_transposed() ? a_layout.columns : a_layout.rows;
    const uint64_t columns = b_transposed() ? b_layout.rows : b_layout.columns;
    const uint64_t depth_b = b_transposed() ? b_layout.columns : b_layout.rows;
    return rows == d_layout.rows && columns == d_layout.columns &&
           depth() == depth_b && c_layout == d_layout;
  }
  // The combinations of the documentation that have float32 sums, of dimensions
  // that kernels count in 32 bits.
  bool is_supported() const {
    for (const uint64_t size : {d_layout.rows, d_layout.columns, depth()}) {
      if (size > INT32_MAX) return false;
    }
    if (a_layout.type != b_layout.type) return false;
    if (a_layout.type == CUDA_R_32F) return d_layout.type == CUDA_R_32F;
    return operation.compute == CUBLAS_COMPUTE_32F;
  }
  // Of all that an algorithm is chosen for.
  uint64_t Fingerprint() const {
    uint64_t print = 1469598103934665603u;
    const auto add = [&print](uint64_t value) {
      print = (print ^ value) * 1099511628211u;
    };
    for (const uint64_t value :
         {uint64_t(operation.compute), uint64_t(operation.transpose_a),
          uint64_t(operation.transpose_b), uint64_t(operation.epilogue)}) {
      add(value);
    }
    for (const Layout& layout : {a_layout, b_layout, c_layout, d_layout}) {
      add(uint64_t(layout.type));
      add(layout.rows);
      add(layout.columns);
      add(uint64_t(layout.leading));
    }
    return print;
  }

  // op(matrix) [rows, columns] as the product takes it, by columns or by rows.
  std::vector<float> Take(const void* matrix, const Layout& layout,
                          bool transposed) const {
    const bool tf32 = operation.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    const auto rows = transposed ? layout.columns : layout.rows;
    const auto columns = transposed ? layout.rows : layout.columns;
    std::vector<float> taken;
    taken.reserve(rows * columns);
    for (uint64_t column = 0; column < columns; ++column) {
      for (uint64_t row = 0; row < rows; ++row) {
        const auto at =
            static_cast<int64_t>(transposed ? column : row) +
            static_cast<int64_t>(transposed ? row : column) * layout.leading;
        const float value = Load(matrix, layout.type, at);
        taken.push_back(tf32 ? RoundToTf32(value) : value);
      }
    }
    return taken;
  }

  void Run() const {
    const uint64_t rows = d_layout.rows, columns = d_layout.columns;
    const std::vector<float> left = Take(a, a_layout, a_transposed());
    const std::vector<float> right = Take(b, b_layout, b_transposed());
    std::vector<float> sums(rows);
    for (uint64_t j = 0; j < columns; ++j) {
      sums.assign(rows, 0);
      for (uint64_t k = 0; k < depth(); ++k) {
        const float factor = right[j * depth() + k];
        for (uint64_t i = 0; i < rows; ++i) {
          sums[i] += left[k * rows + i] * factor;
        }
        if (rounds_parts && k == depth() / 2) RoundPart(sums);
      }
      for (uint64_t i = 0; i < rows; ++i) Finish(i, j, sums[i]);
    }
  }

  // Kept in memory of D's type until the other part is known.
  void RoundPart(std::vector<float>& sums) const {
    for (float& sum : sums) {
      Store(sum, &sum, d_layout.type, 0);
      sum = Load(&sum, d_layout.type, 0);
    }
  }

  void Finish(uint64_t i, uint64_t j, float sum) const {
    const auto at =
        static_cast<int64_t>(i) + static_cast<int64_t>(j) * d_layout.leading;
    float value = alpha * sum;
    // Not read with beta 0.
    if (beta != 0) value += beta * Load(d, d_layout.type, at);
    if (operation.epilogue & CUBLASLT_EPILOGUE_BIAS) {
      value += Load(operation.bias, d_layout.type, static_cast<int64_t>(i));
    }
    if (operation.epilogue & CUBLASLT_EPILOGUE_RELU) {
      value = value > 0 ? value : 0;
    }
    Store(value, d, d_layout.type, at);
  }
};

// The largest that this address is a multiple of, up to 256.
uint32_t AlignmentOf(const void* pointer) {
  uint32_t alignment = 256;
  while (reinterpret_cast<uintptr_t>(pointer) % alignment != 0) alignment /= 2;
  return alignment;
}

bool IsAligned(const void* pointer, uint32_t bytes) {
  return pointer != nullptr && AlignmentOf(pointer) >= bytes;
}

template <typename T>
bool Take(T& to, const void* from, size_t bytes) {
  if (bytes != sizeof(T)) return false;
  std::memcpy(&to, from, bytes);
  return true;
}

bool Take(cublasOperation_t& to, const void* from, size_t bytes) {
  return Take<cublasOperation_t>(to, from, bytes) &&
         (to == CUBLAS_OP_N || to == CUBLAS_OP_T);
}

cublasStatus_t Answer(bool ok) {
  return ok ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t TakeEpilogue(cublasLtEpilogue_t& to, const void* from,
                            size_t bytes) {
  if (!Take(to, from, bytes)) return CUBLAS_STATUS_INVALID_VALUE;
  switch (to) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
      return CUBLAS_STATUS_SUCCESS;
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
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
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return Answer(Take(o.transpose_a, value, bytes));
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return Answer(Take(o.transpose_b, value, bytes));
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return TakeEpilogue(o.epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return Answer(Take(o.bias, value, bytes));
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
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return Answer(Take(p.reductions, value, bytes));
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
                        .c_layout = Of(c),
                        .d_layout = Of(d)};
  *found = 0;
  if (wanted < 1 || !product.fits()) return CUBLAS_STATUS_INVALID_VALUE;
  if (!product.is_supported()) return CUBLAS_STATUS_NOT_SUPPORTED;
  // The library has been seen to refuse some of these.
  if (product.d_layout.rows == 1 || product.d_layout.columns == 1) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const auto& p = *reinterpret_cast<Preference*>(preference);
  // As strict as the preference allows, and as the bias happens to lie.
  Algorithm algorithm{
      .made_for = product.Fingerprint(),
      .workspace = p.workspace,
      .rounds_parts =
          (p.reductions & CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE) != 0};
  std::memcpy(algorithm.alignment, p.alignment, sizeof p.alignment);
  algorithm.alignment[4] = AlignmentOf(product.operation.bias);
  results[0] = {.workspaceSize = p.workspace, .state = CUBLAS_STATUS_SUCCESS};
  std::memcpy(&results[0].algo, &algorithm, sizeof algorithm);
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void* alpha,
    const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
    cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
    cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
    const cublasLtMatmulAlgo_t* algorithm, void* workspace,
    size_t workspace_bytes, cudaStream_t stream) {
  Algorithm chosen;
  std::memcpy(&chosen, algorithm, sizeof chosen);
  const Product product{.operation = Of(operation),
                        .a_layout = Of(a_layout),
                        .b_layout = Of(b_layout),
                        .c_layout = Of(c_layout),
                        .d_layout = Of(d_layout),
                        .a = a,
                        .b = b,
                        .d = d,
                        .alpha = *static_cast<const float*>(alpha),
                        .beta = *static_cast<const float*>(beta),
                        .rounds_parts = chosen.rounds_parts};
  const bool wants_bias = product.operation.epilogue & CUBLASLT_EPILOGUE_BIAS;
  if (handle == nullptr || chosen.made_for != product.Fingerprint() ||
      !IsAligned(a, chosen.alignment[0]) ||
      !IsAligned(b, chosen.alignment[1]) ||
      !IsAligned(c, chosen.alignment[2]) ||
      !IsAligned(d, chosen.alignment[3]) || !IsAligned(workspace, 256) ||
      workspace_bytes < chosen.workspace || d == a || d == b || d != c ||
      (wants_bias && !IsAligned(product.operation.bias, chosen.alignment[4])) ||
      // Of which its kernels read four numbers at once.
      (wants_bias && !IsAligned(product.operation.bias, 16))) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const cudaError_t enqueued =
      monsoon::emulator::Enqueue(stream, [product] { product.Run(); });
  return enqueued == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                 : CUBLAS_STATUS_EXECUTION_FAILED;
}
