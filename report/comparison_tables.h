// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "report/comparison.h"
#include "report/gate.h"
#include "report/table.h"

namespace monsoon {

// One field, a row per cell: medians of A and B, their difference (percent of A
// where the field is relative), its interval and what it means. A side without
// runs is "-", one whose runs all ended otherwise says how ("diverged"), one
// that lacks some has "2/3" behind its median. What all cells have in common
// stands in the title. `field` is a place in ComparedFields().
Table DifferenceTable(absl::Span<const ComparedCell> cells, int field);
// Some run that is done has the field.
bool HasValues(absl::Span<const ComparedCell> cells, int field);

// For spreadsheets and scripts: a row per cell and field, plain numbers in the
// units of summaries, an empty text for what is not.
Table DifferenceSheet(absl::Span<const ComparedCell> cells);

// "elapsed_s: 4 differences: 2 within noise, 1 better, 1 worse"
std::string DescribeTally(absl::Span<const ComparedCell> cells, int field);

// How the intervals were found.
std::string DescribeMethod();

// A line for each run that is not done, and for each setting that A and B have
// not in common, with the cells where that is so.
std::vector<std::string> DescribeNotDone(absl::Span<const ComparedCell> cells);
std::vector<std::string> DescribeSettings(absl::Span<const ComparedCell> cells);

// A line for each bound; "  CELL: FOUND" for what falls short of it; a last one
// that says whether the gate holds.
std::vector<std::string> DescribeGate(const GateResult& gate);

}  // namespace monsoon
