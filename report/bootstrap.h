// SPDX-License-Identifier: Apache-2.0
//
// How far apart two medians are, and how sure that is.
//
// Method:  percentile bootstrap. Both sides are drawn again from themselves,
//          with replacement, kResamples times; of the differences of the
//          medians the middle 95 of 100 are the interval. A difference whose
//          interval holds 0 is within noise.
// Seed:    kBootstrapSeed, anew for each difference: the same values have the
//          same interval, whatever else is compared and in whatever order.
//          One median has an interval in the same way: drawn again from its
//          values, the middle 95 of 100 medians.
// Repeats: two of each side at least, else there is no interval; three for one
//          median. Of three, each
//          value is the median of one draw in four, so that the interval is the
//          range of all differences between a value of B and one of A: honest,
//          and wide. It narrows from four on; that of one median, which is the
//          range of the values of up to five, from six on.
// Source:  Efron, Tibshirani: An Introduction to the Bootstrap, 1993, ch. 13.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace monsoon {

inline constexpr int kResamples = 10'000;
inline constexpr double kConfidence = 0.95;
inline constexpr uint64_t kBootstrapSeed = 1;
// The fewest values of which one median has an interval.
inline constexpr int kIntervalRepeats = 3;

struct Interval {
  double low = 0;
  double high = 0;

  bool Holds(double value) const { return low <= value && value <= high; }
};

// From A to B, in the unit of the values and in percent of A. NaN: a side has
// no value, or A's median is not above 0 and nothing is a part of it.
struct MedianDifference {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  double a = kNone;  // medians
  double b = kNone;
  double difference = kNone;
  double percent = kNone;
  std::optional<Interval> difference_interval;
  std::optional<Interval> percent_interval;
};

// Of the median of the finite values; nothing where they are fewer than
// kIntervalRepeats.
std::optional<Interval> MedianInterval(std::vector<double> values);

// Over the finite values.
MedianDifference CompareMedians(std::vector<double> a, std::vector<double> b);

}  // namespace monsoon
