// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "report/bench_row.h"
#include "report/table.h"

namespace monsoon {

// What the tables are ordered by, and what their titles say.
struct BenchMatrix {
  std::vector<std::string> models;
  std::vector<std::string> trainers;
  std::vector<int> batch_sizes;
  std::vector<std::string> wires = {"fp32"};
  std::vector<double> targets = {};  // test accuracies whose time is compared
  int repeat = 1;
  // The column of a trainer whose runs had another number says so.
  int workers = 1;
  // What all runs have in common: "fashion-mnist, 2 workers, 1 server, ...".
  std::string setting;
};

// The median and the ends of what was measured.
struct Spread {
  double median = BenchRow::kNone;
  double min = BenchRow::kNone;
  double max = BenchRow::kNone;
  int count = 0;
};

// Over the finite values; of an even number, the mean of the middle two.
Spread MeasureSpread(std::vector<double> values);

// Seconds from the first batch to the last applied update, of runs that are
// done: a row per batch size, a column per trainer, for each wire code where
// there are several, a table per model. A cell
// without any says how its run ended ("diverged"), or "-" when there was none.
std::vector<Table> ElapsedTables(const BenchMatrix& matrix,
                                 absl::Span<const BenchRow> rows);
// The same of the accuracy on the test data.
std::vector<Table> AccuracyTables(const BenchMatrix& matrix,
                                  absl::Span<const BenchRow> rows);
// One row per run, in the order of the matrix.
Table RunsTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);

// Some run has values that travel otherwise than as float32.
bool HasCodes(const BenchMatrix& matrix);
// What each wire code moves and what comes of it: medians, in a row per model,
// trainer, batch size and code.
Table WireTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);

// Seconds until the curve of a run has each of the targets: medians, in a row
// per model, batch size, trainer and code, and as a part of the time of
// `single` with the same model and batch size, where that is in the matrix. A
// run that has not got there took longer than any that has; a median that is
// such a run's is "not reached".
Table TimeToTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);

// For spreadsheets and scripts: a row per model and batch size; of every
// trainer the median, and smallest and largest value where runs are repeated.
// An empty field: no run is done.
Table ElapsedSheet(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);
Table AccuracySheet(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);

}  // namespace monsoon
