// SPDX-License-Identifier: Apache-2.0
#include "report/reach.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "report/number_text.h"

namespace monsoon {
namespace {

std::string OneDigitText(double megabytes) {
  return MegabytesText(megabytes * 1e6);
}

}  // namespace

const Effort kWallTime = {"wall time", "s", "least time", SecondsText,
                          [](const RunSummary&, const AccuracyPoint& point) {
                            return point.elapsed_s;
                          }};

const Effort kSamples = {"samples", "samples", "fewest samples", GroupedText,
                         [](const RunSummary&, const AccuracyPoint& point) {
                           return point.samples;
                         }};

const Effort kMegabytes = {
    "bytes", "MB", "fewest bytes", OneDigitText,
    [](const RunSummary& run, const AccuracyPoint& point) {
      return run.bytes() / 1e6 * (point.samples / run.samples);
    }};

std::vector<AccuracyPoint> PointsOf(const RunSummary& run) {
  std::vector<AccuracyPoint> points = run.curve;
  // A curve ends where the accuracy that was asked for is reached.
  const bool goes_on = points.empty() || points.back().samples < run.samples;
  if (goes_on && run.done() && std::isfinite(run.test_acc)) {
    points.push_back({run.elapsed_s, run.samples, run.test_acc});
  }
  return points;
}

Reach MeasureReach(absl::Span<const RunSummary> runs, const RunCell& cell,
                   double accuracy, const Effort& effort) {
  std::vector<double> efforts;
  for (const size_t i : cell.runs) {
    const std::vector<AccuracyPoint> points = PointsOf(runs[i]);
    const auto there = std::find_if(points.begin(), points.end(),
                                    [accuracy](const AccuracyPoint& point) {
                                      return point.accuracy >= accuracy;
                                    });
    efforts.push_back(there == points.end()
                          ? std::numeric_limits<double>::infinity()
                          : effort.of(runs[i], *there));
  }
  return MeasureReach(std::move(efforts));
}

const RunCell* FirstToReach(absl::Span<const RunSummary> runs,
                            const RunGroup& group, double accuracy,
                            const Effort& effort, int64_t min_workers) {
  const RunCell* first = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (const RunCell& cell : group.cells) {
    if (group.variants[cell.variant].workers < min_workers) continue;
    const double median = MeasureReach(runs, cell, accuracy, effort).median;
    if (median < least) {
      first = &cell;
      least = median;
    }
  }
  return first;
}

}  // namespace monsoon
