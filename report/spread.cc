// SPDX-License-Identifier: Apache-2.0
#include "report/spread.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>

#include "report/bootstrap.h"

namespace monsoon {
namespace {

// REQUIRES: sorted; there is a value.
double MedianOf(const std::vector<double>& values) {
  const size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

bool Spread::has_interval() const { return count >= kIntervalRepeats; }

Spread MeasureSpread(std::vector<double> values) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  Spread spread;
  spread.count = static_cast<int>(values.size());
  if (values.empty()) return spread;
  std::sort(values.begin(), values.end());
  spread.min = spread.low = values.front();
  spread.max = spread.high = values.back();
  spread.median = MedianOf(values);
  const std::optional<Interval> interval = MedianInterval(std::move(values));
  if (interval.has_value()) {
    spread.low = interval->low;
    spread.high = interval->high;
  }
  return spread;
}

Reach MeasureReach(std::vector<double> efforts) {
  Reach reach;
  reach.runs = static_cast<int>(efforts.size());
  if (efforts.empty()) return reach;
  // What is not known has not got there.
  std::replace_if(
      efforts.begin(), efforts.end(),
      [](double effort) { return std::isnan(effort); },
      std::numeric_limits<double>::infinity());
  std::sort(efforts.begin(), efforts.end());
  reach.median = MedianOf(efforts);
  const auto end = std::find_if(efforts.begin(), efforts.end(),
                                [](double one) { return !std::isfinite(one); });
  reach.reached = static_cast<int>(end - efforts.begin());
  if (reach.reached == 0) return reach;
  reach.min = efforts.front();
  reach.max = *(end - 1);
  return reach;
}

}  // namespace monsoon
