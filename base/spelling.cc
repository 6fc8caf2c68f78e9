// SPDX-License-Identifier: Apache-2.0
#include "base/spelling.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace monsoon {
namespace {

// Levenshtein distance with exchanges of neighbours (optimal string alignment).
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1,
                                     std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min(
          {d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string NearestSpelling(absl::string_view word,
                            const std::vector<std::string>& candidates) {
  std::string nearest;
  size_t best = word.size() / 3 + 2;  // farther than this is another word
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(word, candidate);
    if (distance >= best) continue;
    best = distance;
    nearest = candidate;
  }
  return nearest;
}

std::string UnknownName(absl::string_view kind, absl::string_view word,
                        const std::vector<std::string>& accepted) {
  std::string message =
      absl::StrCat("unknown ", kind, " \"", word,
                   "\"; accepted: ", absl::StrJoin(accepted, ", "));
  const std::string nearest = NearestSpelling(word, accepted);
  if (!nearest.empty()) {
    absl::StrAppend(&message, "; did you mean \"", nearest, "\"?");
  }
  return message;
}

}  // namespace monsoon
