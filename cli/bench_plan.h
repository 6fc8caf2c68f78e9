// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "report/bench_row.h"
#include "worker/options.h"

namespace monsoon {

// What a person chooses about a bench. A value.
struct BenchChoices {
  std::vector<std::string> models;
  std::vector<std::string> trainers;
  std::vector<int> batch_sizes;
  std::vector<std::string> wires = {"fp32"};  // as Options has them, resolved
  std::vector<double> targets = {};  // test accuracies; the last is the highest
  int repeat = 3;
  // What all runs share; trainer, model, batch_size, wire and out are each
  // run's own, and the seed is that of the first repeat.
  Options options;
};

// One run of the matrix.
struct BenchRun {
  std::string name;  // of its folder: "mlp-adag-b64-s1"
  Options options;   // resolved
};

// Reads "a,b,c". INVALID_ARGUMENT names flag, item and what is accepted, for
// an empty list, an empty item, one that comes twice, and one whose name (what
// stands before a colon) is not in `accepted`. Numbers behind an item with a
// colon belong to it: "mlp:500,500,cnn" are two.
absl::StatusOr<std::vector<std::string>> ParseNames(
    absl::string_view flag, absl::string_view kind, absl::string_view text,
    const std::vector<std::string>& accepted);
// The same for wire codes: each of pushes and replies alike, or PUSHES/REPLIES.
absl::StatusOr<std::vector<std::string>> ParseWires(absl::string_view flag,
                                                    absl::string_view text);
// The same for numbers of 1 and more.
absl::StatusOr<std::vector<int>> ParseCounts(absl::string_view flag,
                                             absl::string_view text);

// The same for accuracies above 0 and at most 1, sorted.
absl::StatusOr<std::vector<double>> ParseAccuracies(absl::string_view flag,
                                                    absl::string_view text);

// Every run of the matrix, in an order shuffled by the seed alone, so that what
// the machine does meanwhile favours nobody. A trainer that knows but one
// worker gets one; of several wire codes it gets those that it can have.
// INVALID_ARGUMENT when a run cannot be.
absl::StatusOr<std::vector<BenchRun>> PlanRuns(const BenchChoices& choices);

// All that decides what is measured, as bench.json keeps it.
nlohmann::ordered_json MatrixJson(const BenchChoices& choices);

// Is `row` the result of `run`?
bool IsResultOf(const BenchRow& row, const BenchRun& run);

}  // namespace monsoon
