// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "absl/types/span.h"
#include "report/comparison.h"
#include "report/gate.h"

namespace monsoon {

// A list of the cells, whose names and order are an interface:
//   model, data, trainer, batch_size, workers, servers, wire
//   in        "both", "a", "b"
//   a, b      {"runs", "done", "not_done": [{"seed", "status"}]}; seed is text
//   settings  by key, what A and B have not in common: {"a": [...], "b": [...]}
//   fields    by name of ComparedFields(): {"a", "b", "difference",
//             "difference_low", "difference_high", "percent", "percent_low",
//             "percent_high", "verdict"}: medians in the units of summaries, B
//             - A, the ends of its interval, the same in percent of A, and
//             "within_noise", "better", "worse", "higher", "lower",
//             "one_repeat", "no_value", "not_done", "only_in_a", "only_in_b"
// What is not a finite number is null.
nlohmann::ordered_json CellsJson(absl::Span<const ComparedCell> cells);

// {"confidence", "resamples", "seed"} of the intervals.
nlohmann::ordered_json MethodJson();

//   holds           true or false
//   bounds          [{"bound", "cells", "falls_short"}]: as it was written, in
//                   how many cells it was checked, [{"cell", "found"}] of those
//                   that fall short
//   not_comparable  [{"cell", "found"}], whatever the bounds say; cell is null
//                   where it is the comparison as a whole
//   only_in_a, only_in_b  cells without a counterpart
nlohmann::ordered_json GateJson(const GateResult& gate);

}  // namespace monsoon
