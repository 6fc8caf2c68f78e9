// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <set>

namespace monsoon {
namespace {

TEST_CASE("A stream depends on every part of its key and on nothing else") {
  CHECK(Random({1, 2, 3}).Next() == Random({1, 2, 3}).Next());
  std::set<uint64_t> firsts = {Random({1, 2, 3}).Next(),
                               Random({2, 2, 3}).Next(),
                               Random({1, 2, 4}).Next(),
                               Random({1, 2}).Next(),
                               Random({1, 3, 2}).Next(),
                               Random({1, 2, 3, 0}).Next(),
                               Random({1 + (uint64_t{1} << 32), 2, 3}).Next()};
  CHECK(firsts.size() == 7);
}

TEST_CASE("A stream is the same on every machine") {
  // From the standard's definitions of seed_seq and mt19937_64.
  CHECK(Random({7, Random::kShuffle}).Next() == 0xdab2934469e59b4c);
}

TEST_CASE("Below reaches every number below its bound, evenly") {
  Random random({1});
  std::vector<int> times(7);
  for (int i = 0; i < 70000; ++i) ++times[random.Below(7)];
  // Five standard deviations of a binomial of 70000 and 1 / 7 are 463.
  for (int count : times) CHECK(std::abs(count - 10000) < 463);
  for (int i = 0; i < 10; ++i) CHECK(random.Below(1) == 0);
}

TEST_CASE("Below does not loop for large bounds") {
  Random random({2});
  for (uint64_t bound : {UINT64_MAX, (uint64_t{1} << 63) + 1}) {
    for (int i = 0; i < 100; ++i) CHECK(random.Below(bound) < bound);
  }
}

TEST_CASE("Uniform stays inside its interval and fills it") {
  Random random({3});
  float least = 1, most = -1;
  double sum = 0;
  for (int i = 0; i < 100000; ++i) {
    const float x = random.Uniform(-0.5f, 0.5f);
    least = std::min(least, x);
    most = std::max(most, x);
    sum += x;
  }
  CHECK(least >= -0.5f);
  CHECK(most < 0.5f);
  CHECK(least < -0.499f);
  CHECK(most > 0.499f);
  // Five standard deviations of the mean: 5 * sqrt(1 / 12 / 100000).
  CHECK(std::abs(sum / 100000) < 0.0046);
}

TEST_CASE("Shuffle keeps the items and makes every order as likely") {
  std::vector<int> times(6);
  const std::vector<int64_t> sorted = {0, 1, 2};
  for (uint64_t seed = 0; seed < 6000; ++seed) {
    std::vector<int64_t> items = sorted;
    Random({seed}).Shuffle(items);
    REQUIRE(std::is_permutation(items.begin(), items.end(), sorted.begin()));
    const auto order = 2 * items[0] + (items[1] > items[2] ? 1 : 0);
    ++times[static_cast<size_t>(order)];
  }
  // Five standard deviations of a binomial of 6000 and 1 / 6 are 145.
  for (int count : times) CHECK(std::abs(count - 1000) < 145);
}

}  // namespace
}  // namespace monsoon
