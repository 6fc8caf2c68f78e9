// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/cuda/blocks.h"

#include <catch2/catch.hpp>
#include <vector>

#include "base/random.h"

namespace monsoon {
namespace {

bool Divides(int64_t n, int64_t d) {
  const auto found = Divisor(d)(n);
  return found.quotient == n / d && found.remainder == n % d;
}

TEST_CASE("A divisor divides as the processor does", "[cuda]") {
  std::vector<int64_t> divisors = {1, 2, 3, 5, 6, 7, 9, 10, 28, 255, 641};
  for (int power = 3; power < 40; ++power) {
    for (int64_t near = -1; near <= 1; ++near) {
      divisors.push_back((int64_t{1} << power) + near);
    }
  }
  Random random({11});
  for (int i = 0; i < 200; ++i) {
    divisors.push_back(1 + int64_t(random.Below(uint64_t{1} << (i % 40 + 1))));
  }
  int64_t wrong = 0;
  for (const int64_t d : divisors) {
    // Multiples and what is beside them are where rounding shows.
    for (const int64_t most : {int64_t{INT32_MAX}, int64_t{1} << 50}) {
      for (int64_t k = 0; k < 200; ++k) {
        const int64_t last = most / d * d;
        for (const int64_t n : {k * d, last - k * d, most - k}) {
          for (int64_t near = -1; near <= 1; ++near) {
            if (n + near >= 0) wrong += !Divides(n + near, d);
          }
        }
        wrong += !Divides(int64_t(random.Below(uint64_t(most))), d);
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("Orders say where a number lies, and which lies there", "[cuda]") {
  const int64_t batch = 3, channels = 12, height = 5, width = 7;
  const int64_t space = height * width;
  for (const int64_t block : {1, 2, 3, 4, 6, 12}) {
    const BlockOrder order(channels, space, block);
    const PlaneOrder planes(height, width, block);
    int64_t i = 0, wrong = 0;
    for (int64_t n = 0; n < batch; ++n) {
      for (int64_t group = 0; group < channels / block; ++group) {
        for (int64_t s = 0; s < space; ++s) {
          for (int64_t lane = 0; lane < block; ++lane, ++i) {
            const int64_t c = group * block + lane;
            const auto [image, channel, pixel] = order.Of(i);
            wrong += image != n || channel != c || pixel != s;
            wrong += order.At({n, c, s}) != i;
            ChannelWalk walk = order.Walk(n * space + s);
            for (int64_t k = 0; k < c; ++k) walk.Next();
            wrong += walk.at != i;
            const auto [plane, row, column, l] = planes.Of(i);
            wrong += plane != n * (channels / block) + group || l != lane;
            wrong += row != s / width || column != s % width;
            wrong += planes.At({plane, row, column, l}) != i;
          }
        }
      }
    }
    CHECK(wrong == 0);
  }
}

}  // namespace
}  // namespace monsoon
