// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/filesystem.h"
#include "cli/bench_plan.h"
#include "report/bench_row.h"

// What `monsoon bench` says: on stderr what it does, on stdout what came of it.
namespace monsoon {

// "plan  1 model x 4 trainers x ...". `before`: runs that are done already.
void PrintPlan(const BenchChoices& choices, size_t runs, size_t before);

// "quiet  load 0.02, 2 cores, governor performance", or "noisy ..." with a
// warning where others are at work; `machine` as DescribeMachine has it.
void PrintMachine(const nlohmann::ordered_json& machine);

// Prints the tables, and writes them to the folder: tables.md, elapsed.csv,
// accuracy.csv. `against`: a trainer, or "" for none.
absl::Status WriteTables(FileSystem& files, const std::string& folder,
                         const BenchChoices& choices,
                         const std::string& against,
                         absl::Span<const BenchRow> rows);

// Where things are, and how the runs ended; with `json` the last line on stdout
// is one JSON object. Returns the exit code.
int CloseBench(const std::string& program, const std::string& folder,
               absl::Span<const BenchRow> rows, bool json);

}  // namespace monsoon
