// SPDX-License-Identifier: Apache-2.0
#include "cuda/launch.h"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/cuda/launch_samples.h"
#include "tests/models/on_device.h"

namespace monsoon {
namespace {

TEST_CASE("A function of an index is called once for each", "[cuda]") {
  // The last is one more than the threads that are started at most.
  for (const int64_t n : {0, 1, 255, 256, 257, 4096 * 256 + 1}) {
    INFO(n);
    OnDevice<int64_t> counts(size_t(n) + 1);
    CountIndices(*TestDevice().queue, n, counts.data());
    const std::vector<int64_t> found = counts.Get();
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; ++i) wrong += found[size_t(i)] != i + 1;
    CHECK(wrong == 0);
    CHECK(found.back() == 0);
  }
}

// How many sums are wrong, of either form.
int64_t WrongSums(int64_t rows, int64_t columns, bool are_neighbours) {
  std::vector<int64_t> values, expected(size_t(rows) + 1);
  for (int64_t i = 0; i < rows * columns; ++i) {
    values.push_back(i * i % 1009 + 1);
    expected[size_t(are_neighbours ? i % rows : i / columns)] += values.back();
  }
  OnDevice<int64_t> there(values), sums(size_t(rows) + 1);
  (are_neighbours ? SumNeighbouringRows : SumRows)(
      *TestDevice().queue, rows, columns, there.data(), sums.data());
  const std::vector<int64_t> found = sums.Get();
  int64_t wrong = 0;
  for (size_t i = 0; i < found.size(); ++i) wrong += found[i] != expected[i];
  return wrong;
}

TEST_CASE("Rows are summed, all columns of each", "[cuda]") {
  for (const bool are_neighbours : {false, true}) {
    for (const int64_t rows : {0, 1, 7, 8, 9, 31, 32, 33, 257}) {
      for (const int64_t columns : {1, 8, 31, 32, 33, 255, 256, 257, 1000}) {
        INFO(rows << " rows, " << columns << " columns");
        CHECK(WrongSums(rows, columns, are_neighbours) == 0);
      }
    }
    // More than there are blocks at most, times the rows of a block.
    CHECK(WrongSums(4096 * 32 + 1, 3, are_neighbours) == 0);
    CHECK(WrongSums(4097, 257, are_neighbours) == 0);
  }
}

TEST_CASE("A row without columns is nothing", "[cuda]") {
  for (const auto sum : {SumRows, SumNeighbouringRows}) {
    OnDevice<int64_t> values(1), sums(std::vector<int64_t>{1, 2, 3});
    sum(*TestDevice().queue, 3, 0, values.data(), sums.data());
    CHECK(sums.Get() == std::vector<int64_t>{1, 2, 3});
  }
}

}  // namespace
}  // namespace monsoon
