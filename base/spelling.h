// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace monsoon {

// The candidate nearest to `word` by edit distance; "" when none is near enough
// to be what was meant.
std::string NearestSpelling(absl::string_view word,
                            const std::vector<std::string>& candidates);

// How every unknown name is reported:
//   unknown trainer "adga"; accepted: adag, aeasgd; did you mean "adag"?
std::string UnknownName(absl::string_view kind, absl::string_view word,
                        const std::vector<std::string>& accepted);

}  // namespace monsoon
