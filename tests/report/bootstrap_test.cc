// SPDX-License-Identifier: Apache-2.0
#include "report/bootstrap.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

namespace monsoon {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST_CASE("a difference is from A's median to B's, and a percent of A's") {
  const MedianDifference found = CompareMedians({4, 2, 3}, {10, 2, 4, 5});
  CHECK(found.a == 3);
  CHECK(found.b == 4.5);  // the mean of the middle two
  CHECK(found.difference == 1.5);
  CHECK(found.percent == 50);
}

TEST_CASE("of three repeats each, the interval is the range of differences") {
  // Each end is the difference of a largest and a smallest value, which are the
  // medians of 7 in 27 draws each: 7/27 * 7/27 = 6.7 %, more than the 2.5 %
  // that are cut off.
  const MedianDifference found = CompareMedians({1, 2, 4}, {10, 20, 40});
  REQUIRE(found.difference_interval.has_value());
  CHECK(found.difference_interval->low == 10 - 4);
  CHECK(found.difference_interval->high == 40 - 1);
  REQUIRE(found.percent_interval.has_value());
  CHECK(found.percent_interval->low == 150);    // from 4 to 10
  CHECK(found.percent_interval->high == 3900);  // from 1 to 40
}

TEST_CASE("of four repeats each, the interval leaves out the farthest apart") {
  // A's median is its largest value where three draws or four are that: in 13
  // of 256. B's is its smallest as often, both in 0.3 %, less than is cut off.
  const MedianDifference found = CompareMedians({1, 2, 4, 8}, {10, 20, 40, 80});
  CHECK(found.difference_interval->low > 10 - 8);
  CHECK(found.difference_interval->high < 80 - 1);
}

TEST_CASE("of nine repeats, the interval leaves out smallest and largest") {
  // B's median is at most its smallest value in 0.1 % of the draws, at most the
  // second smallest in 3.0 %: five of nine draws or more, each one of the two
  // in 2/9.
  const MedianDifference found =
      CompareMedians({5, 5, 5}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  REQUIRE(found.difference_interval.has_value());
  CHECK(found.difference_interval->low == 2 - 5);
  CHECK(found.difference_interval->high == 8 - 5);
}

TEST_CASE("an interval depends on the values alone") {
  // Of eight repeats, the medians of draws have many values, and the ends of
  // the interval would be others with other random numbers.
  const MedianDifference once =
      CompareMedians({1.13, 1.42, 1.27, 1.91, 1.34, 1.05, 1.66, 1.79},
                     {1.51, 1.24, 1.73, 1.68, 1.47, 1.39, 1.82, 1.16});
  const MedianDifference again =
      CompareMedians({1.79, 1.34, 1.05, 1.13, 1.91, 1.66, 1.27, 1.42},
                     {1.16, 1.82, 1.47, 1.51, 1.24, 1.68, 1.73, 1.39});
  CHECK(once.difference_interval->low == again.difference_interval->low);
  CHECK(once.difference_interval->high == again.difference_interval->high);
  CHECK(once.percent_interval->low == again.percent_interval->low);
  CHECK(once.percent_interval->high == again.percent_interval->high);
}

TEST_CASE("one repeat of a side has a difference without an interval") {
  const MedianDifference found = CompareMedians({2}, {3, 4, 5});
  CHECK(found.difference == 2);
  CHECK_FALSE(found.difference_interval.has_value());
  CHECK_FALSE(CompareMedians({2, 3}, {4}).percent_interval.has_value());
  CHECK(CompareMedians({2, 3}, {4, 5}).percent_interval.has_value());
}

TEST_CASE("values that are not finite do not count") {
  const MedianDifference found = CompareMedians({2, kNaN}, {INFINITY, 3});
  CHECK(found.difference == 1);
  CHECK_FALSE(found.difference_interval.has_value());
}

TEST_CASE("a side without a value has no difference") {
  const MedianDifference found = CompareMedians({kNaN}, {3, 4});
  CHECK(std::isnan(found.a));
  CHECK(found.b == 3.5);
  CHECK(std::isnan(found.difference));
  CHECK(std::isnan(found.percent));
}

TEST_CASE("nothing is a percentage of zero") {
  const MedianDifference found = CompareMedians({0, 0, 0}, {1, 2, 3});
  CHECK(found.difference == 2);
  CHECK(found.difference_interval->high == 3);
  CHECK(std::isnan(found.percent));
  CHECK_FALSE(found.percent_interval.has_value());
}

}  // namespace
}  // namespace monsoon
