// SPDX-License-Identifier: Apache-2.0
// The libraries that are loaded when they are used: a function that one of them
// lacks would be missed by nobody before.
#include <cublasLt.h>
#include <cudnn.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "cuda/lazy_library.h"

namespace monsoon {
namespace {

// What a file of forwarding functions says: its library, and every function.
struct Forwards {
  explicit Forwards(const std::string& file) {
    std::ifstream in(MONSOON_SOURCE_DIR "/cuda/" + file);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    std::smatch match;
    if (std::regex_search(text, match, std::regex("kLibrary\\(\"([^\"]+)\""))) {
      library = match[1];
    }
    // The macro itself aside, whose names are its parameters.
    const std::regex forward(
        "\\n(?:MONSOON_FORWARD\\(Library,[^,]*,|FORWARD\\()\\s*(\\w+)");
    for (std::sregex_iterator i(text.begin(), text.end(), forward), end;
         i != end; ++i) {
      functions.push_back((*i)[1]);
    }
  }

  std::string library;
  std::vector<std::string> functions;
};

void CheckFunctions(const std::string& file, const std::string& sample,
                    size_t least) {
  const Forwards forwards(file);
  const LazyLibrary library(forwards.library.c_str());
  INFO(forwards.library << ": " << library.error());
  CHECK(forwards.functions.size() >= least);
  CHECK(std::find(forwards.functions.begin(), forwards.functions.end(),
                  sample) != forwards.functions.end());
  for (const std::string& function : forwards.functions) {
    INFO(function);
    CHECK(library.Find(function.c_str()) != nullptr);
  }
  CHECK(library.Find("monsoonHasNoSuchFunction") == nullptr);
}

TEST_CASE("cuBLASLt has every function that we call", "[cuda]") {
  CheckFunctions("cublaslt_functions.cc", "cublasLtMatmul", 13);
}

TEST_CASE("cuDNN has every function that we call", "[cuda]") {
  CheckFunctions("cudnn_functions.cc", "cudnnConvolutionForward", 22);
}

TEST_CASE("Calls are forwarded to the libraries", "[cuda]") {
  CHECK(std::string(cublasLtGetStatusString(CUBLAS_STATUS_NOT_SUPPORTED))
            .find("not supported") != std::string::npos);
  CHECK(std::string(cudnnGetErrorString(CUDNN_STATUS_BAD_PARAM)) ==
        "CUDNN_STATUS_BAD_PARAM");
}

// Descriptors are the host's, no GPU is asked: so the emulated cuBLASLt can be
// held against the library.
TEST_CASE("cuBLASLt takes the attributes that we set", "[cuda]") {
  cublasLtMatrixLayout_t layout = nullptr;
  CHECK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_16BF, 3, 2, 8) ==
        CUBLAS_STATUS_SUCCESS);
  CHECK(cublasLtMatrixLayoutDestroy(layout) == CUBLAS_STATUS_SUCCESS);
  cublasLtMatmulDesc_t product = nullptr;
  REQUIRE(cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F_FAST_TF32,
                                   CUDA_R_32F) == CUBLAS_STATUS_SUCCESS);
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute,
                       const auto& value) {
    return cublasLtMatmulDescSetAttribute(product, attribute, &value,
                                          sizeof value);
  };
  const auto epilogue = CUBLASLT_EPILOGUE_RELU_BIAS;
  CHECK(set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T) == CUBLAS_STATUS_SUCCESS);
  CHECK(set(CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N) == CUBLAS_STATUS_SUCCESS);
  CHECK(set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue) == CUBLAS_STATUS_SUCCESS);
  CHECK(set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, uintptr_t{16}) ==
        CUBLAS_STATUS_SUCCESS);
  CHECK(set(CUBLASLT_MATMUL_DESC_TRANSA, int64_t{CUBLAS_OP_T}) ==
        CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasLtMatmulDescDestroy(product) == CUBLAS_STATUS_SUCCESS);
  cublasLtMatmulPreference_t preference = nullptr;
  REQUIRE(cublasLtMatmulPreferenceCreate(&preference) == CUBLAS_STATUS_SUCCESS);
  const uint64_t workspace = 1 << 20;
  CHECK(cublasLtMatmulPreferenceSetAttribute(
            preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
            sizeof workspace) == CUBLAS_STATUS_SUCCESS);
  const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  CHECK(cublasLtMatmulPreferenceSetAttribute(
            preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions,
            sizeof reductions) == CUBLAS_STATUS_SUCCESS);
  for (const auto which : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
                           CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                           CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                           CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    const uint32_t bytes = 4;
    CHECK(cublasLtMatmulPreferenceSetAttribute(preference, which, &bytes,
                                               sizeof bytes) ==
          CUBLAS_STATUS_SUCCESS);
  }
  CHECK(cublasLtMatmulPreferenceDestroy(preference) == CUBLAS_STATUS_SUCCESS);
}

TEST_CASE("A library that is not there says so", "[cuda]") {
  const LazyLibrary library("libmonsoon_has_none.so.1");
  CHECK(library.Find("anything") == nullptr);
  CHECK(library.error().find("libmonsoon_has_none.so.1") != std::string::npos);
}

}  // namespace
}  // namespace monsoon
