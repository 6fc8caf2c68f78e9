// SPDX-License-Identifier: Apache-2.0
// What a product does beside computing: memory, recordings, what is refused;
// and that the emulated cuBLASLt refuses what the library may.
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <utility>

#include "base/flat.h"
#include "cuda/matmul.h"
#include "tests/cuda/emulator/emulator.h"

namespace monsoon {
namespace {

TEST_CASE("A product that cuBLASLt does not have is one of our own", "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  const CudaMatmul large({.rows = int64_t{1} << 32, .columns = 2, .depth = 3},
                         *queue);
  CHECK(queue->status().ok());
  CHECK(large.way() ==
        "a plain kernel, as cuBLASLt answers an emulated status");
  const CudaMatmul narrow({.rows = 1, .columns = 2, .depth = 3}, *queue);
  CHECK(narrow.way() == "a plain kernel, as cuBLASLt answers an invalid value");
  const CudaMatmul usual({.rows = 2, .columns = 2, .depth = 3}, *queue);
  CHECK(usual.way() == "cublaslt");
}

TEST_CASE("A product needs room for its bias when it is made", "[cuda]") {
  emulator::Reset();
  emulator::SetMemory(CudaQueue::kWorkspaceBytes + 256);
  {
    auto queue = *CudaQueue::Make(0);
    const CudaMatmul matmul({.rows = 2,
                             .columns = 100000,
                             .depth = 3,
                             .epilogue = CudaMatmul::Epilogue::kBias},
                            *queue);
    CHECK(queue->status().code() == absl::StatusCode::kResourceExhausted);
  }
  emulator::Reset();
}

TEST_CASE("A product allocates nothing and waits for nothing", "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  Flat a(12, *queue), b(12, *queue), d(20, *queue), bias(8, *queue);
  CudaMatmul matmul({.rows = 3,
                     .columns = 4,
                     .depth = 3,
                     .epilogue = CudaMatmul::Epilogue::kBias},
                    *queue);
  const emulator::Counters before = emulator::counters();
  for (const int64_t off : {0, 1, 2}) {  // alignments that are new to it
    matmul.Run(a.data(), b.data(), d.data() + off, 1, 0, bias.data() + off);
  }
  CHECK(emulator::counters().allocations == before.allocations);
  CHECK(emulator::counters().waits == before.waits);
  CHECK(queue->Wait().ok());
}

// The first run may be recorded, and bias and operands change in between.
TEST_CASE("A recorded product reads what is there when it is replayed",
          "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  const int64_t size = GENERATE(1, 2);  // of which cuBLASLt has the second
  Flat a(size, *queue), b(size, *queue), d(size * size, *queue);
  Flat bias(size + 1, *queue);
  const auto set = [](Flat& there, float value) {
    Flat here(there.size());
    for (float& v : here.span()) v = value;
    there.CopyFrom(here);
  };
  set(a, 2);
  set(b, 3);
  set(bias, 1);
  CudaMatmul matmul({.rows = size,
                     .columns = size,
                     .depth = 1,
                     .epilogue = CudaMatmul::Epilogue::kBias},
                    *queue);
  const auto recording = queue->Record(
      [&] { matmul.Run(a.data(), b.data(), d.data(), 1, 0, bias.data() + 1); });
  REQUIRE(recording.ok());
  queue->Replay(**recording);
  CHECK(d.ToHost()[0] == 7);
  set(a, 5);
  set(bias, -1);
  queue->Replay(**recording);
  CHECK(d.ToHost()[0] == 14);
}

// A call of cublasLtMatmul that is right, to be made wrong.
struct Call {
  explicit Call(CudaQueue& queue, cudaDataType type = CUDA_R_32F,
                cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS)
      : gpu(queue), a(64, queue), b(64, queue), d(64, queue), bias(64, queue) {
    cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE,
                                   &epilogue, sizeof epilogue);
    SetBias(bias.data());
    cublasLtMatrixLayoutCreate(&a_layout, type, 4, 3, 4);
    cublasLtMatrixLayoutCreate(&b_layout, type, 3, 2, 3);
    cublasLtMatrixLayoutCreate(&d_layout, CUDA_R_32F, 4, 2, 4);
    cublasLtMatmulPreferenceCreate(&preference);
    SetAlignment(256);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {
    cublasLtMatmulDescDestroy(operation);
    for (auto* layout : {a_layout, b_layout, d_layout}) {
      cublasLtMatrixLayoutDestroy(layout);
    }
    cublasLtMatmulPreferenceDestroy(preference);
  }

  void SetBias(const void* to) {
    cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                   &to, sizeof to);
  }
  void SetAlignment(uint32_t bytes) {
    for (const auto which : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
                             CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                             CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                             CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      cublasLtMatmulPreferenceSetAttribute(preference, which, &bytes,
                                           sizeof bytes);
    }
  }
  cublasStatus_t Choose() {
    int found = 0;
    const auto chosen = cublasLtMatmulAlgoGetHeuristic(
        gpu.cublaslt(), operation, a_layout, b_layout, d_layout, d_layout,
        preference, 1, &result, &found);
    CHECK(found == (chosen == CUBLAS_STATUS_SUCCESS ? 1 : 0));
    return chosen;
  }
  cublasStatus_t Run(const float* from_a, const float* from_b, float* to) {
    const float alpha = 1, beta = 0;
    return cublasLtMatmul(gpu.cublaslt(), operation, &alpha, from_a, a_layout,
                          from_b, b_layout, &beta, to, d_layout, to, d_layout,
                          &result.algo, gpu.workspace(),
                          CudaQueue::kWorkspaceBytes, gpu.stream());
  }
  cublasStatus_t Run() { return Run(a.data(), b.data(), d.data()); }

  CudaQueue& gpu;
  Flat a, b, d, bias;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a_layout = nullptr, b_layout = nullptr;
  cublasLtMatrixLayout_t d_layout = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  cublasLtMatmulHeuristicResult_t result = {};
};

constexpr auto kOk = CUBLAS_STATUS_SUCCESS;
constexpr auto kInvalid = CUBLAS_STATUS_INVALID_VALUE;
constexpr auto kUnsupported = CUBLAS_STATUS_NOT_SUPPORTED;

TEST_CASE("The emulated cuBLASLt refuses matrices that cannot be", "[cuda]") {
  cublasLtMatrixLayout_t layout = nullptr;
  CHECK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 4, 3, 3) == kInvalid);
  CHECK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 0, 3, 3) == kInvalid);
  CHECK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_64F, 4, 3, 4) != kOk);
  auto queue = *CudaQueue::Make(0);
  Call call(*queue);
  CHECK(call.Choose() == kOk);
  std::swap(call.a_layout, call.b_layout);
  CHECK(call.Choose() == kInvalid);
  std::swap(call.a_layout, call.d_layout);
  CHECK(call.Choose() == kInvalid);
}

TEST_CASE("The emulated cuBLASLt refuses types that do not go together",
          "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  Call rounded(*queue, CUDA_R_16BF);
  CHECK(rounded.Choose() == kOk);
  Call call(*queue);
  std::swap(call.b_layout, rounded.b_layout);
  CHECK(call.Choose() == kUnsupported);
  const auto bias_type = CUDA_R_32F;  // that of D alone is known
  CHECK(cublasLtMatmulDescSetAttribute(
            call.operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type,
            sizeof bias_type) == kUnsupported);
  Call results(*queue);
  cublasLtMatrixLayoutDestroy(results.d_layout);
  cublasLtMatrixLayoutCreate(&results.d_layout, CUDA_R_16BF, 4, 2, 4);
  CHECK(results.Choose() == kUnsupported);
  cublasLtMatmulDesc_t operation = nullptr;
  CHECK(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_16F, CUDA_R_16F) ==
        kUnsupported);
  const auto epilogue = CUBLASLT_EPILOGUE_GELU;
  CHECK(cublasLtMatmulDescSetAttribute(call.operation,
                                       CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                       sizeof epilogue) == kUnsupported);
  const int64_t transposed = CUBLAS_OP_T;  // of the wrong size
  CHECK(cublasLtMatmulDescSetAttribute(call.operation,
                                       CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                       sizeof transposed) == kInvalid);
}

TEST_CASE("The emulated cuBLASLt refuses calls that are not what was chosen",
          "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  Call call(*queue);
  REQUIRE(call.Choose() == kOk);
  CHECK(call.Run() == kOk);
  CHECK(call.Run(nullptr, call.b.data(), call.d.data()) == kInvalid);
  CHECK(call.Run(call.a.data() + 4, call.b.data(), call.d.data()) == kInvalid);
  CHECK(call.Run(call.a.data(), call.b.data() + 1, call.d.data()) == kInvalid);
  CHECK(call.Run(call.a.data(), call.b.data(), call.d.data() + 1) == kInvalid);
  CHECK(call.Run(call.a.data(), call.b.data(), call.a.data()) == kInvalid);
  call.SetAlignment(4);
  REQUIRE(call.Choose() == kOk);
  CHECK(call.Run(call.a.data() + 1, call.b.data() + 2, call.d.data() + 3) ==
        kOk);
  for (float* bias : {static_cast<float*>(nullptr), call.bias.data() + 2}) {
    call.SetBias(bias);
    REQUIRE(call.Choose() == kOk);
    CHECK(call.Run() == kInvalid);
  }
  // Chosen for a bias at 256 bytes.
  call.SetBias(call.bias.data());
  REQUIRE(call.Choose() == kOk);
  call.SetBias(call.bias.data() + 4);
  CHECK(call.Run() == kInvalid);
  Call other(*queue, CUDA_R_32F, CUBLASLT_EPILOGUE_DEFAULT);
  REQUIRE(other.Choose() == kOk);
  call.SetBias(call.bias.data());
  call.result = other.result;
  CHECK(call.Run() == kInvalid);
  CHECK(queue->Wait().ok());
}

}  // namespace
}  // namespace monsoon
