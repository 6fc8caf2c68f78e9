// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace monsoon {

// The test accuracy of a run at some time.
struct AccuracyPoint {
  double elapsed_s = 0;
  double samples = 0;
  double accuracy = 0;
};

// A line of metrics.jsonl.
struct LossPoint {
  double elapsed_s = 0;
  double loss = 0;
};

// A run as a report shows it: its summary, and where that lies. A value; a
// number that the summary has as null or not at all is NaN, a text is empty.
// BenchRow is the stricter reading by which a bench decides what is left to do.
struct RunSummary {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  std::string trainer;
  std::string model;
  std::string data;
  std::string transport;  // "virtual" of a simulation, whose times are that too
  std::string status = "unknown";  // done, diverged, interrupted, failed
  int64_t batch_size = 0;
  int64_t workers = 0;  // 0: not said, as of servers and epochs
  int64_t servers = 0;
  int64_t epochs = 0;
  uint64_t seed = 0;
  double samples = kNone;
  double elapsed_s = kNone;  // first batch to last applied update
  double samples_per_s = kNone;
  double startup_s = kNone;
  double peak_rss_bytes = kNone;
  double bytes_up = kNone;  // of values, of all workers
  double bytes_down = kNone;
  double staleness_mean = kNone;
  double staleness_p95 = kNone;
  double train_loss = kNone;
  double test_loss = kNone;
  double test_acc = kNone;
  // Of a bench: cores that other processes kept busy, the part of the cores'
  // time that went to other machines, and whether that is too much.
  double other_load = kNone;
  double steal = kNone;
  bool disturbed = false;
  // What else was chosen, in the order of the summary: optimizer, lr, wire,
  // ..., and the hyper-parameters as "hyper.window".
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<AccuracyPoint> curve;
  std::map<int64_t, int64_t> staleness;  // -> pushes of all workers that had it
  std::vector<LossPoint> losses;         // of a run folder

  std::string folder;     // as it was given
  bool is_bench = false;  // of a bench, not a run folder
  std::string name;       // within the folder: "line 3"; "" of a run folder
  std::string command;    // repeats the run

  bool done() const { return status == "done"; }
  // Of both ways; NaN where one is not known.
  double bytes() const { return bytes_up + bytes_down; }
  // "" when there is none.
  std::string Setting(absl::string_view key) const;
};

// Reads one summary, of this version or another: fields that are missing or of
// another type are named in `missing` and left empty. DATA_LOSS when it is no
// JSON object, or does not say which trainer, model and batch size it is of.
absl::StatusOr<RunSummary> ParseRunSummary(absl::string_view text,
                                           std::vector<std::string>& missing);

// The lines of metrics.jsonl that hold a loss; others are passed over.
std::vector<LossPoint> ParseLosses(absl::string_view text);

}  // namespace monsoon
