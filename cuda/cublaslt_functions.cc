// SPDX-License-Identifier: Apache-2.0
// Every function of cuBLASLt that we call; see LazyLibrary.
#include <cublasLt.h>

#include "cuda/lazy_library.h"

namespace {

const monsoon::LazyLibrary& Library() {
  static const monsoon::LazyLibrary kLibrary("libcublasLt.so.13");
  return kLibrary;
}

}  // namespace

std::string monsoon::MissingCublasLt() { return Library().error(); }

#define FORWARD(name, parameters, arguments)                            \
  MONSOON_FORWARD(Library, cublasStatus_t, name, parameters, arguments, \
                  CUBLAS_STATUS_NOT_INITIALIZED)

FORWARD(cublasLtCreate, (cublasLtHandle_t * handle), (handle))
FORWARD(cublasLtDestroy, (cublasLtHandle_t handle), (handle))
MONSOON_FORWARD(Library, const char*, cublasLtGetStatusString,
                (cublasStatus_t status), (status), Library().error().c_str())
FORWARD(cublasLtMatmul,
        (cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha,
         const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
         cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
         cublasLtMatrixLayout_t c_layout, void* d,
         cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo,
         void* workspace, size_t workspace_bytes, cudaStream_t stream),
        (handle, desc, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d,
         d_layout, algo, workspace, workspace_bytes, stream))
FORWARD(cublasLtMatrixLayoutCreate,
        (cublasLtMatrixLayout_t * layout, cudaDataType type, uint64_t rows,
         uint64_t columns, int64_t leading),
        (layout, type, rows, columns, leading))
FORWARD(cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t layout), (layout))
FORWARD(cublasLtMatmulDescCreate,
        (cublasLtMatmulDesc_t * desc, cublasComputeType_t compute,
         cudaDataType_t scale),
        (desc, compute, scale))
FORWARD(cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t desc), (desc))
FORWARD(cublasLtMatmulDescSetAttribute,
        (cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
         const void* value, size_t bytes),
        (desc, attribute, value, bytes))
FORWARD(cublasLtMatmulPreferenceCreate,
        (cublasLtMatmulPreference_t * preference), (preference))
FORWARD(cublasLtMatmulPreferenceDestroy,
        (cublasLtMatmulPreference_t preference), (preference))
FORWARD(cublasLtMatmulPreferenceSetAttribute,
        (cublasLtMatmulPreference_t preference,
         cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
         size_t bytes),
        (preference, attribute, value, bytes))
FORWARD(cublasLtMatmulAlgoGetHeuristic,
        (cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
         cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
         cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
         cublasLtMatmulPreference_t preference, int wanted,
         cublasLtMatmulHeuristicResult_t results[], int* found),
        (handle, desc, a, b, c, d, preference, wanted, results, found))
