// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace monsoon {

// Reads "a,b,c". INVALID_ARGUMENT names flag, item and what is accepted, for
// an empty list, an empty item, one that comes twice, and one whose name (what
// stands before a colon) is not in `accepted`. Numbers behind an item with a
// colon belong to it: "mlp:500,500,cnn" are two.
absl::StatusOr<std::vector<std::string>> ParseNames(
    absl::string_view flag, absl::string_view kind, absl::string_view text,
    const std::vector<std::string>& accepted);
// The same for wire codes: each of pushes and replies alike, or PUSHES/REPLIES.
absl::StatusOr<std::vector<std::string>> ParseWires(absl::string_view flag,
                                                    absl::string_view text);
// The same for numbers of 1 and more.
absl::StatusOr<std::vector<int>> ParseCounts(absl::string_view flag,
                                             absl::string_view text);

// The same for accuracies above 0 and at most 1, sorted.
absl::StatusOr<std::vector<double>> ParseAccuracies(absl::string_view flag,
                                                    absl::string_view text);

}  // namespace monsoon
