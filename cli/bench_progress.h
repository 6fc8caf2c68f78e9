// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "cli/bench_plan.h"
#include "report/bench_row.h"

namespace monsoon {

// How long a run will take, as those that are done tell: the mean over the runs
// of its cell; where there is none, of its model and batch size; else of its
// model; else of all. All runs of a bench process the same number of samples.
// NaN where nothing is done.
double EstimateSeconds(const BenchRun& run, absl::Span<const BenchRow> rows);

// The same, summed over the runs that have no row yet.
double EstimateLeft(absl::Span<const BenchRun> runs,
                    absl::Span<const BenchRow> rows);

// "18m", "9m5s", "12s"; "" for what is not finite.
std::string LeftText(double seconds);

// "[#######-----] 12/72  18m left"; without the time where that is not finite.
std::string BarText(size_t done, size_t runs, double seconds_left);

// "mlp adag      b=64   seed 2    3.42 s  17540 samples/s  acc 0.8423", with
// workers, servers and window where the bench has several of them, how the run
// ended where it is not done, and what disturbed it.
std::string RunText(const BenchRow& row, const BenchChoices& choices);

}  // namespace monsoon
