// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/cuda/tensor_order.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <memory>

#include "base/bf16.h"
#include "cuda/cuda.h"
#include "tests/cuda/convolution_check.h"
#include "tests/models/convolution_loops.h"

namespace monsoon {
namespace {

TEST_CASE("bfloat16 is the nearest number of eight bits, ties to even",
          "[cuda]") {
  const auto rounded = [](float value) {
    return static_cast<float>(Bf16(value));
  };
  for (const float exact : {0.0f, 1.0f, -2.5f, 0.0078125f, 3.3895314e38f}) {
    CHECK(rounded(exact) == exact);
  }
  // Neighbours of 1 are 2^-7 away.
  CHECK(rounded(1 + 0x1p-8f) == 1);
  CHECK(rounded(1 + 0x1.002p-8f) == 1 + 0x1p-7f);
  CHECK(rounded(1 + 0x3p-8f) == 1 + 0x1p-6f);
  CHECK(rounded(-1 - 0x1p-8f) == -1);
  CHECK(rounded(-1 - 0x3p-8f) == -1 - 0x1p-6f);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CHECK(rounded(kInfinity) == kInfinity);
  CHECK(rounded(-kInfinity) == -kInfinity);
  CHECK(rounded(std::numeric_limits<float>::max()) == kInfinity);
  CHECK(std::isnan(rounded(std::nanf(""))));
  // All its bits are in the half that goes.
  const uint32_t bits = 0x7f800001u;
  float nan;
  std::memcpy(&nan, &bits, sizeof nan);
  CHECK(std::isnan(rounded(nan)));
}

// Where every number of a tensor is what it was, by batch, channel, row and
// column.
void CheckConvert(const TensorOrder& from, const TensorOrder& to) {
  INFO("blocks of " << from.block << " to " << to.block << ", bf16 "
                    << from.bf16 << " to " << to.bf16);
  const auto made = *MakeCudaQueue(0);
  CudaQueue& queue = CudaQueue::Of(*made);
  const Flat numbers = Draw(from.size(), 1, Precision::kBf16);
  const TensorOrder plain = {from.batch, from.shape, from.block};
  const TensorOrder plain_to = {to.batch, to.shape, to.block};
  const Flat there = OnDevice({&queue}, numbers);
  Flat source(from.floats(), queue), target(to.floats(), queue),
      result(to.size(), queue);
  Convert(queue, plain, there.data(), from, source.data());
  Convert(queue, from, source.data(), to, target.data());
  Convert(queue, to, target.data(), plain_to, result.data());
  const Flat got = result.ToHost();
  const Shape& s = from.shape;
  for (int64_t i = 0; i < from.size(); ++i) {
    const int64_t w = i % s.width, h = i / s.width % s.height,
                  c = i / s.width / s.height % s.channels, n = i / s.size();
    CHECK(got[PlaceOf(s, to.block, n, c, h, w)] ==
          numbers[PlaceOf(s, from.block, n, c, h, w)]);
  }
  CHECK(queue.Wait().ok());
}

TEST_CASE("A tensor goes from every order and type to every other", "[cuda]") {
  for (const Shape& shape : {Shape{8, 3, 7}, Shape{8, 1, 1}, Shape{8, 1, 5}}) {
    for (const int64_t from : {1, 4, 8}) {
      for (const int64_t to : {1, 2, 8}) {
        CheckConvert({3, shape, from}, {3, shape, to});
        CheckConvert({3, shape, from}, {3, shape, to, true});
        CheckConvert({1, shape, from, true}, {1, shape, to});
        CheckConvert({1, shape, from, true}, {1, shape, to, true});
      }
    }
  }
}

}  // namespace
}  // namespace monsoon
