// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "report/bench_row.h"
#include "worker/options.h"

namespace monsoon {

// What a person chooses about a bench. A value.
struct BenchChoices {
  std::vector<std::string> models;
  std::vector<std::string> trainers;
  std::vector<int> batch_sizes;
  std::vector<std::string> wires = {"fp32"};  // as Options has them, resolved
  std::vector<int> workers = {2};
  std::vector<int> servers = {1};
  // Local steps between exchanges, of the trainers that have the
  // hyper-parameter `window`; empty: as `set` or the trainer says.
  std::vector<int> windows = {};
  std::vector<double> targets = {};  // test accuracies; the last is the highest
  int repeat = 3;
  // What all runs share; trainer, model, batch_size, wire, workers, servers and
  // out are each run's own, and the seed is that of the first repeat.
  Options options;
};

// One run of the matrix.
struct BenchRun {
  // Of its folder: "mlp-adag-b64-s1"; with what there is several of:
  // "mlp-adag-b64-w4-servers2-window10-s1".
  std::string name;
  Options options;  // resolved
  int window = 0;   // 0: the bench does not choose it, or there is none
};

// Every run of the matrix, in an order shuffled by the seed alone, so that what
// the machine does meanwhile favours nobody. What a trainer does not have is no
// axis for it: it gets one worker where it knows but one, no window where it
// has none, the first number of servers where it exchanges nothing, and of
// several wire codes or numbers of servers those that it can have.
// INVALID_ARGUMENT when a run cannot be.
absl::StatusOr<std::vector<BenchRun>> PlanRuns(const BenchChoices& choices);

// All that decides what is measured, as bench.json keeps it.
nlohmann::ordered_json MatrixJson(const BenchChoices& choices);

// Is `row` a result of the cell of `run`, whose repeats differ in their seeds?
bool IsOfCell(const BenchRow& row, const BenchRun& run);
// Is it the result of `run` itself?
bool IsResultOf(const BenchRow& row, const BenchRun& run);

}  // namespace monsoon
