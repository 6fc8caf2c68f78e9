// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/flat.h"
#include "data/dataset.h"

namespace monsoon {

// Test accuracy over the time of a run, as people compare trainers by it.

// What a run has come to at one time of it, to be evaluated when it is over.
struct Snapshot {
  double elapsed_s = 0;       // of the job, as its status has it
  int64_t samples = 0;        // that the center had
  std::vector<Flat> members;  // as JobOutcome::members
};

// The same as test data see it.
struct CurvePoint {
  double elapsed_s = 0;
  int64_t samples = 0;
  double accuracy = 0;
};

// Samples from one snapshot to the next of a run of `samples`: `every` where
// that is above 0; else, where an accuracy `time_to` is asked for, a fiftieth
// of the run; else 0, for none. More, where all copies of `bytes` each would
// take more than 1 GiB: they stay in memory to the end of the run.
int64_t SnapshotEvery(int64_t every, double time_to, int64_t samples,
                      int64_t bytes = 0);

// Evaluates one after the other, up to the first that reaches `time_to`, if
// that is above 0.
absl::StatusOr<std::vector<CurvePoint>> EvaluateCurve(
    const std::string& model, const Dataset& test,
    absl::Span<const Snapshot> snapshots, double time_to);

// When the curve first has `accuracy`; none where it never does.
std::optional<double> TimeTo(absl::Span<const CurvePoint> curve,
                             double accuracy);

}  // namespace monsoon
