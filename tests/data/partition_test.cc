// SPDX-License-Identifier: Apache-2.0
#include "data/partition.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

namespace monsoon {
namespace {

TEST_CASE("Every example is in exactly one partition, and sizes are even") {
  for (int64_t size : {0, 1, 2, 7, 64, 97, 1000, 60000}) {
    for (int workers : {1, 2, 3, 5, 8, 13, 64}) {
      CAPTURE(size, workers);
      std::vector<int> seen(static_cast<size_t>(size));
      int64_t least = size, most = 0;
      for (int worker = 0; worker < workers; ++worker) {
        const Part part{worker, workers};
        const std::vector<int64_t> mine = Partition(size, worker, workers);
        const auto count = static_cast<int64_t>(mine.size());
        REQUIRE(count == PartSize(size, part));
        least = std::min(least, count);
        most = std::max(most, count);
        for (int64_t row = 0; row < count; ++row) {
          const int64_t example = mine[static_cast<size_t>(row)];
          ++seen[static_cast<size_t>(example)];
          REQUIRE(IsIn(part, example));
          REQUIRE(RowIn(part, example) == row);
        }
      }
      REQUIRE(std::all_of(seen.begin(), seen.end(),
                          [](int times) { return times == 1; }));
      REQUIRE(most - least <= 1);
    }
  }
}

TEST_CASE("A set stored class by class gives every worker every class") {
  for (int worker = 0; worker < 4; ++worker) {
    std::vector<int> of_class(10);
    for (int64_t e : Partition(1000, worker, 4)) {
      ++of_class[static_cast<size_t>(e / 100)];
    }
    CHECK(of_class == std::vector<int>(10, 25));
  }
}

TEST_CASE("An epoch's order depends on seed, epoch and worker alone") {
  const std::vector<int64_t> partition = Partition(1000, 1, 3);
  const std::vector<int64_t> order = EpochOrder(5, 2, 1, partition);
  CHECK(order == EpochOrder(5, 2, 1, partition));
  CHECK(order != partition);
  CHECK(order != EpochOrder(6, 2, 1, partition));
  CHECK(order != EpochOrder(5, 3, 1, partition));
  CHECK(order != EpochOrder(5, 2, 0, partition));
  CHECK(std::is_permutation(order.begin(), order.end(), partition.begin(),
                            partition.end()));
}

TEST_CASE("An epoch's order is the same on every machine") {
  std::vector<int64_t> ten(10);
  std::iota(ten.begin(), ten.end(), 0);
  CHECK(EpochOrder(1, 0, 0, ten) ==
        std::vector<int64_t>{0, 7, 9, 5, 6, 1, 3, 2, 8, 4});
}

}  // namespace
}  // namespace monsoon
