// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "report/bench_cells.h"
#include "report/bench_row.h"
#include "report/table.h"

namespace monsoon {

// Medians of repeats have their 95 % interval behind them, [low, high], where
// three runs or more are done; of two, (smallest..largest). Numbers that a
// disturbed run is part of end with kDisturbedMark, which the note explains.

// Seconds from the first batch to the last applied update, of runs that are
// done: a row per batch size, and number of workers, servers and window where
// there are several of these; a column per trainer, for each wire code where
// there are several; a table per model. A cell without any says how its run
// ended ("diverged"), or "-" when there was none.
std::vector<Table> ElapsedTables(const BenchMatrix& matrix,
                                 absl::Span<const BenchRow> rows);
// The same of the accuracy on the test data.
std::vector<Table> AccuracyTables(const BenchMatrix& matrix,
                                  absl::Span<const BenchRow> rows);
// One row per run, in the order of the matrix.
Table RunsTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);

// For spreadsheets and scripts: rows as in the tables, of all models; of every
// trainer the median, and smallest and largest value where runs are repeated.
// An empty field: no run is done.
Table ElapsedSheet(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);
Table AccuracySheet(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);

// Of those that follow, report/bench_speed_tables.cc.

// Some run has values that travel otherwise than as float32.
bool HasCodes(const BenchMatrix& matrix);
// What each wire code moves and what comes of it: medians, in a row per model,
// place, trainer and code.
Table WireTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);

// Seconds until the curve of a run has each of the targets: medians, in a row
// per model, place, trainer and code, and as a part of the time of `single`
// with the same model and batch size, where that is in the matrix. A run that
// has not got there took longer than any that has; a median that is such a
// run's is "not reached".
Table TimeToTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);

// Samples per second by workers: how many times those with the fewest workers,
// and what part that is of as many times as there are more. A row per model,
// place, trainer and code, of the trainers that have several numbers of
// workers.
Table ScalingTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);

// How many times as fast as matrix.against, with the same model and batch size
// and the fewest workers that it has, and by how many points more accurate: of
// medians, with the 95 % interval where both sides have two runs or more. A
// row per model, place, trainer and code, without that itself.
Table AgainstTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);

}  // namespace monsoon
