// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace monsoon {

// A number of a summary that two benches are compared by.
struct ComparedField {
  enum Better { kNeither, kLower, kHigher };

  std::string name;  // in summaries, in a gate, in JSON
  std::string unit;  // of what is shown: "s", "MB"; empty for none
  double scale = 1;  // how many of the summary's units that is
  int digits = 2;    // behind the point
  Better better = kLower;
  bool is_relative = true;  // differences are shown in percent of A
};

// In the order in which they are shown.
const std::vector<ComparedField>& ComparedFields();
// Its place among them; -1 when there is none of that name.
int FindComparedField(absl::string_view name);
std::vector<std::string> ComparedFieldNames();

// What repeats of one run have in common, and no other run of a bench. The
// order of the members is the order of rows.
struct BenchCell {
  std::string model;
  std::string data;
  std::string trainer;
  int workers = 0;
  int servers = 0;
  std::string wire;
  int batch_size = 0;
  // Local steps between exchanges. 0: the trainer has no such choice, or it
  // tells no runs apart (see CompareBenches).
  int window = 0;

  auto key() const {
    return std::tie(model, data, trainer, workers, servers, wire, batch_size,
                    window);
  }
  friend bool operator==(const BenchCell& a, const BenchCell& b) {
    return a.key() == b.key();
  }
  friend bool operator<(const BenchCell& a, const BenchCell& b) {
    return a.key() < b.key();
  }
};

// "mlp on fashion-mnist, adag, batch 64, 2 workers, 1 server"; the wire where
// it is not fp32, and the window where it is not 0.
std::string DescribeCell(const BenchCell& cell);

// One run as `monsoon compare` sees it. A value.
struct ComparedRun {
  BenchCell cell;
  std::string status;  // "done", or how else it ended
  std::string seed;    // empty: the summary has none
  // Of ComparedFields(); NaN for null, and for what the summary lacks.
  std::vector<double> values;
  // What else was chosen and may decide what is measured, as JSON by key:
  // "lr" -> "0.1", "hyper.window" -> "5". The cell is in it as well.
  std::map<std::string, std::string> settings;
  // Keys that the summary of another version lacks: a field has no value then,
  // wire, servers and data are taken as what they were before they were
  // written.
  std::vector<std::string> missing;

  bool is_done() const { return status == "done"; }
};

// Reads a summary, also one of another version: more keys are no harm, and of
// the fewer only trainer, model, batch_size, workers and status are needed.
// DATA_LOSS says what is wrong with a text that is no summary, or has another
// type than expected somewhere.
absl::StatusOr<ComparedRun> ParseComparedRun(absl::string_view line);

}  // namespace monsoon
