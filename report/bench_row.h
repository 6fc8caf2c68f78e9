// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace monsoon {

// One finished run of a bench: the fields of its summary that tables and plans
// read. A value; a number that the summary has as null is NaN.
struct BenchRow {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  std::string trainer;
  std::string model;
  std::string wire = "fp32";  // the code of pushes, or "PUSHES,REPLIES"
  std::string status;         // done, diverged, interrupted, failed
  int batch_size = 0;
  int workers = 0;
  uint64_t seed = 0;
  double elapsed_s = kNone;  // first batch to last applied update
  double samples_per_s = kNone;
  double bytes_up = kNone;  // of values, of all workers
  double bytes_down = kNone;
  double staleness_mean = kNone;
  double staleness_p95 = kNone;
  double test_acc = kNone;
  // Of the points of its curve, if it has one: elapsed seconds, test accuracy.
  std::vector<std::pair<double, double>> curve;
};

// Reads one line of results.jsonl. DATA_LOSS says what is wrong with it.
absl::StatusOr<BenchRow> ParseBenchRow(absl::string_view line);

}  // namespace monsoon
