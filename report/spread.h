// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <vector>

namespace monsoon {

// The median of what was measured, and how far it can be trusted.
struct Spread {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  double median = kNone;
  double min = kNone;
  double max = kNone;
  // The median's 95 % interval (report/bootstrap.h) of kIntervalRepeats values
  // or more; of fewer, the smallest and the largest.
  double low = kNone;
  double high = kNone;
  int count = 0;

  bool has_interval() const;
};

// Over the finite values; of an even number, the mean of the middle two.
Spread MeasureSpread(std::vector<double> values);

// What it takes to get somewhere, over runs of which some may not get there.
struct Reach {
  // Infinity: not reached by the median run; a run that has not got there took
  // longer than any that has. NaN: no run.
  double median = Spread::kNone;
  double min = Spread::kNone;  // of those that got there
  double max = Spread::kNone;
  int reached = 0;
  int runs = 0;
};

// `efforts`: of every run; infinity where it has not got there.
Reach MeasureReach(std::vector<double> efforts);

}  // namespace monsoon
