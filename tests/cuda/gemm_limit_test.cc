// SPDX-License-Identifier: Apache-2.0
#include "models/cuda/gemm_limit.h"

#include <catch2/catch.hpp>
#include <vector>

#include "cuda/cuda_queue.h"

namespace monsoon {
namespace {

constexpr Precision kPrecisions[] = {Precision::kFp32, Precision::kTf32,
                                     Precision::kBf16};

TEST_CASE("A square product of a GPU is measured", "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  for (const Precision precision : kPrecisions) {
    const auto time = MeasureCudaGemm(*queue, precision, 24);
    REQUIRE(time.ok());
    CHECK(time->operations == 2. * 24 * 24 * 24);
    CHECK(time->seconds > 0);
    CHECK(time->gflops() == 1e-9 * time->operations / time->seconds);
  }
}

TEST_CASE("The products of dense layers on a GPU are measured", "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  const std::vector<DenseShape> layers = {{4, 17, 9, false}, {4, 9, 3}};
  for (const Precision precision : kPrecisions) {
    const auto time = MeasureCudaDense(*queue, precision, layers);
    REQUIRE(time.ok());
    // Two of the first layer, three of the second.
    CHECK(time->operations == 2. * 4 * (2 * 17 * 9 + 3 * 9 * 3));
    CHECK(time->seconds > 0);
  }
}

TEST_CASE("A GPU without room says so instead of a rate", "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  const int64_t size = 1 << 20;  // 4 TiB of float32
  CHECK(MeasureCudaGemm(*queue, Precision::kFp32, size).status().code() ==
        absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace monsoon
