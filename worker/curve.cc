// SPDX-License-Identifier: Apache-2.0
#include "worker/curve.h"

#include <algorithm>

#include "base/status_macros.h"
#include "worker/evaluate.h"

namespace monsoon {
namespace {

constexpr int64_t kPoints = 50;  // of a run whose spacing nobody chose
constexpr int64_t kMostBytes = int64_t{1} << 30;

}  // namespace

int64_t SnapshotEvery(int64_t every, double time_to, int64_t samples,
                      int64_t bytes) {
  if (every <= 0 && time_to <= 0) return 0;
  const int64_t wanted = every > 0 ? every : samples / kPoints;
  if (bytes <= 0) return std::max<int64_t>(1, wanted);
  const int64_t most = std::max<int64_t>(1, kMostBytes / bytes);
  return std::max({int64_t{1}, wanted, (samples + most - 1) / most});
}

absl::StatusOr<std::vector<CurvePoint>> EvaluateCurve(
    const std::string& model, const Dataset& test,
    absl::Span<const Snapshot> snapshots, double time_to) {
  std::vector<CurvePoint> curve;
  for (const Snapshot& snapshot : snapshots) {
    ASSIGN_OR_RETURN(const Evaluation found,
                     Evaluate(model, test, snapshot.members));
    curve.push_back({snapshot.elapsed_s, snapshot.samples, found.accuracy});
    if (time_to > 0 && found.accuracy >= time_to) break;
  }
  return curve;
}

std::optional<double> TimeTo(absl::Span<const CurvePoint> curve,
                             double accuracy) {
  for (const CurvePoint& point : curve) {
    if (point.accuracy >= accuracy) return point.elapsed_s;
  }
  return std::nullopt;
}

}  // namespace monsoon
