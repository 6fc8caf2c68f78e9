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

// The part of the processors' time that, taken by other machines on the same
// host, marks a run as disturbed.
inline constexpr double kMostStolen = 0.02;

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
  int servers = 0;  // 0: not said
  int window = 0;   // local steps between exchanges; 0: the trainer has none
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
  // What the bench adds; of an older version NaN, and not disturbed.
  double wall_s = kNone;      // of the whole process
  double other_load = kNone;  // cores that other processes kept busy
  double steal = kNone;       // part of the cores' time
  bool disturbed = false;     // by these
  bool repeated = false;      // in place of a run that was disturbed
};

// Reads one line of results.jsonl. DATA_LOSS says what is wrong with it.
absl::StatusOr<BenchRow> ParseBenchRow(absl::string_view line);

}  // namespace monsoon
