// SPDX-License-Identifier: Apache-2.0
#include "report/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/random.h"

namespace monsoon {
namespace {

using Values = std::vector<double>;

// What is not finite goes, and the order of repeats says nothing, so it shall
// change nothing.
void Clean(Values& values) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  std::sort(values.begin(), values.end());
}

// Of an even number, the mean of the middle two. REQUIRES: there is a value.
double Median(Values& values) {
  const auto middle =
      values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

// Not finite where nothing can be a part of `a`.
double Percent(double a, double b) {
  return a > 0 ? 100 * (b - a) / a : MedianDifference::kNone;
}

double MedianOfResample(const Values& values, Random& random, Values& drawn) {
  drawn.clear();
  for (size_t i = 0; i < values.size(); ++i) {
    drawn.push_back(values[random.Below(values.size())]);
  }
  return Median(drawn);
}

// The middle kConfidence of the values.
std::optional<Interval> MiddleOf(Values values) {
  for (const double value : values) {
    if (!std::isfinite(value)) return std::nullopt;
  }
  std::sort(values.begin(), values.end());
  const auto outside = static_cast<size_t>(
      std::floor((1 - kConfidence) / 2 * static_cast<double>(values.size())));
  return Interval{values[outside], values[values.size() - 1 - outside]};
}

void Resample(const Values& a, const Values& b, MedianDifference& result) {
  Random random({kBootstrapSeed, Random::kResample});
  Values differences;
  Values percents;
  Values drawn;
  for (int i = 0; i < kResamples; ++i) {
    const double from = MedianOfResample(a, random, drawn);
    const double to = MedianOfResample(b, random, drawn);
    differences.push_back(to - from);
    percents.push_back(Percent(from, to));
  }
  result.difference_interval = MiddleOf(std::move(differences));
  result.percent_interval = MiddleOf(std::move(percents));
}

}  // namespace

std::optional<Interval> MedianInterval(Values values) {
  Clean(values);
  if (values.size() < kIntervalRepeats) return std::nullopt;
  Random random({kBootstrapSeed, Random::kResample});
  Values medians;
  Values drawn;
  for (int i = 0; i < kResamples; ++i) {
    medians.push_back(MedianOfResample(values, random, drawn));
  }
  return MiddleOf(std::move(medians));
}

MedianDifference CompareMedians(Values a, Values b) {
  MedianDifference result;
  Clean(a);
  Clean(b);
  if (!a.empty()) result.a = Median(a);
  if (!b.empty()) result.b = Median(b);
  if (a.empty() || b.empty()) return result;
  result.difference = result.b - result.a;
  result.percent = Percent(result.a, result.b);
  if (a.size() > 1 && b.size() > 1) Resample(a, b, result);
  return result;
}

}  // namespace monsoon
