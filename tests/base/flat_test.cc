// SPDX-License-Identifier: Apache-2.0
#include "base/flat.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

namespace monsoon {
namespace {

TEST_CASE("A Flat starts as zeros on a cache line") {
  Flat x(100);
  REQUIRE(x.size() == 100);
  CHECK(reinterpret_cast<uintptr_t>(x.data()) % 64 == 0);
  for (float value : x.span()) CHECK(value == 0.0f);
}

TEST_CASE("A slice is the same memory, a clone is not") {
  Flat x(10);
  Flat slice = x.Slice(4, 3);
  slice[0] = 7;
  CHECK(x[4] == 7.0f);
  Flat clone = x.Clone();
  clone[4] = 1;
  CHECK(x[4] == 7.0f);
}

TEST_CASE("ForEach visits all operands in one pass, aliases included") {
  Flat x(67), g(67);
  for (int64_t i = 0; i < 67; ++i) {
    x[i] = static_cast<float>(i);
    g[i] = 2;
  }
  ForEach([](float& a, float b) { a -= 0.5f * b; }, x, g);
  CHECK(x[0] == -1.0f);
  CHECK(x[66] == 65.0f);
  ForEach([](float& a, float b) { a += b; }, x, x);
  CHECK(x[66] == 130.0f);
}

TEST_CASE("The first value that is not finite is found") {
  for (float bad : {std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity(), std::nanf("")}) {
    for (int64_t at : {0, 15, 16, 36}) {
      Flat x(37);
      CHECK(AllFinite(x.span()));
      x[at] = bad;
      CHECK(FirstNotFinite(x.span()) == at);
    }
  }
  CHECK(AllFinite(absl::Span<const float>()));
}

TEST_CASE("The largest magnitude is found, and what is not finite is larger") {
  Flat x(37);
  CHECK(Largest(x.span()) == 0);
  x[3] = 2;
  x[36] = -3.5f;
  CHECK(Largest(x.span()) == 3.5f);
  x[3] = std::numeric_limits<float>::max();
  CHECK(Largest(x.span()) == std::numeric_limits<float>::max());
  for (float bad : {-std::numeric_limits<float>::infinity(), std::nanf("")}) {
    x[5] = bad;
    CHECK_FALSE(std::isfinite(Largest(x.span())));
  }
  CHECK(Largest(absl::Span<const float>()) == 0);
}

}  // namespace
}  // namespace monsoon
