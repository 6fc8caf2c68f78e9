// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/filesystem.h"
#include "report/bench_row.h"

namespace monsoon {

// Where a bench keeps what it has measured:
//   bench.json     {"machine", "matrix"}, written once
//   results.jsonl  the summary of every run that has ended, one a line
//   runs/          a folder per run
//   disturbed.jsonl  summaries of disturbed runs that others have replaced
//
// Makes the folder, or goes on with one that holds the same matrix: the rows
// of the runs that have ended. A torn last line, the trace of a bench that was
// killed, is cut off. INVALID_ARGUMENT says what differs when the folder holds
// another matrix; DATA_LOSS names file and line that cannot be read.
absl::StatusOr<std::vector<BenchRow>> OpenBenchFolder(
    FileSystem& files, const std::string& folder,
    const nlohmann::ordered_json& matrix,
    const nlohmann::ordered_json& machine);

// Adds the summary of a run to results.jsonl; `line` has no newline.
absl::Status AppendResult(FileSystem& files, const std::string& folder,
                          absl::string_view line);

// Puts `line` in the place of line `index` (from 0) of results.jsonl, which
// goes to disturbed.jsonl.
absl::Status ReplaceResult(FileSystem& files, const std::string& folder,
                           size_t index, absl::string_view line);

}  // namespace monsoon
