// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/filesystem.h"
#include "report/run_summary.h"

namespace monsoon {

// What a folder of a bench or of a run holds. A value.
struct ResultFolder {
  std::string path;       // as it was given, without a slash at its end
  bool is_bench = false;  // else of one run
  // Of bench.json; null where it does not say.
  nlohmann::ordered_json machine, matrix;
  std::vector<RunSummary> runs;
  // The summary that runs[i] was read from.
  std::vector<nlohmann::ordered_json> summaries;
  // What could not be read, or not all of it: thing, found, expected, what to
  // do, a sentence each.
  std::vector<std::string> notices;
  // Something is missing or corrupt, beyond a line that was being written and
  // fields that another version had not.
  bool damaged = false;
};

// Reads a folder as `monsoon bench` (bench.json, results.jsonl) or as `train`,
// `launch` and `simulate` (summary.json, metrics.jsonl) leave it, and changes
// nothing there. NOT_FOUND when there is no such folder, or it is neither. The
// `command` of a run stays empty.
absl::StatusOr<ResultFolder> ReadResultFolder(FileSystem& files,
                                              const std::string& path);

}  // namespace monsoon
