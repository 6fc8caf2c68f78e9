// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/filesystem.h"
#include "report/compared_run.h"

namespace monsoon {

// What a folder of `monsoon bench`, or of one run, has to compare.
struct ComparedFolder {
  std::string path;
  bool is_bench = false;
  std::vector<ComparedRun> runs;
  // What could not be read, or not as this version writes it: for people, each
  // naming the file. A bench that has not ended is one of them.
  std::vector<std::string> problems;
  // Some of that is a loss: lines in the middle that are no summary, or no
  // summary at all. A line that a killed bench left half-written is none.
  bool is_corrupt = false;
  nlohmann::ordered_json machine;  // of bench.json; null where there is none
};

// Reads results.jsonl, else summary.json, and changes nothing. NOT_FOUND for a
// folder that is not there, or has neither.
absl::StatusOr<ComparedFolder> ReadComparedFolder(FileSystem& files,
                                                  const std::string& path);

}  // namespace monsoon
