// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "report/cells.h"
#include "report/run_summary.h"
#include "report/spread.h"

namespace monsoon {

// What an accuracy is reached with.
struct Effort {
  const char* title;  // "wall time"
  const char* unit;   // "s", "samples", "MB"
  const char* least;  // "least time"
  std::string (*text)(double);
  // Of a point of the run, in the unit.
  double (*of)(const RunSummary& run, const AccuracyPoint& point);
};

extern const Effort kWallTime;
extern const Effort kSamples;
// A curve does not say what had travelled by then: the part of all the run's
// bytes, of both ways, that its samples were by then.
extern const Effort kMegabytes;

// The curve of a run and, where that does not go so far and the run is done,
// its end.
std::vector<AccuracyPoint> PointsOf(const RunSummary& run);

// The effort until the first point with the accuracy, over the runs of a cell.
Reach MeasureReach(absl::Span<const RunSummary> runs, const RunCell& cell,
                   double accuracy, const Effort& effort);

// The cell whose median reaches the accuracy with the least effort, among those
// with `min_workers` or more; null when none does.
const RunCell* FirstToReach(absl::Span<const RunSummary> runs,
                            const RunGroup& group, double accuracy,
                            const Effort& effort, int64_t min_workers = 0);

}  // namespace monsoon
