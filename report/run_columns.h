// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "report/run_summary.h"
#include "report/table.h"

namespace monsoon {

// One column of the table of all runs, under the same name everywhere.
struct RunColumn {
  const char* key;    // of CSV and JSON, as in summaries
  const char* title;  // for people
  // A number, a text, or null where the run has none.
  nlohmann::ordered_json (*value)(const RunSummary& run);
  // How a number is printed for people; null: as it is.
  std::string (*text)(double) = nullptr;
  bool in_page = true;  // else in CSV and JSON alone
};

const std::vector<RunColumn>& RunColumns();

// For people: "-" for null.
std::string CellText(const RunColumn& column, const RunSummary& run);

// With every digit: a row per run, a column for each of RunColumns(), an empty
// field for null.
Table RunSheet(absl::Span<const RunSummary> runs);

}  // namespace monsoon
