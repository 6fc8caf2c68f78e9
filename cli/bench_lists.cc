// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_lists.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/spelling.h"
#include "base/status_macros.h"
#include "trainers/wire.h"

namespace monsoon {
namespace {

absl::Status Bad(absl::string_view flag, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", what));
}

bool IsNumber(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
  });
}

absl::Status CheckOnce(absl::string_view flag, absl::string_view text,
                       const std::vector<std::string>& items) {
  for (auto item = items.begin(); item != items.end(); ++item) {
    if (std::find(items.begin(), item, *item) != item) {
      return Bad(flag, absl::StrCat("\"", *item, "\" comes twice in \"", text,
                                    "\"; give it once"));
    }
  }
  return absl::OkStatus();
}

// The items between the commas: none empty, none twice.
absl::StatusOr<std::vector<std::string>> SplitList(absl::string_view flag,
                                                   absl::string_view text) {
  std::vector<std::string> items;
  for (const absl::string_view item : absl::StrSplit(text, ',')) {
    if (item.empty()) {
      return Bad(flag, absl::StrCat("found \"", text,
                                    "\", expected items with one comma "
                                    "between them and none empty"));
    }
    const bool continues = IsNumber(item) && !items.empty() &&
                           items.back().find(':') != std::string::npos;
    if (continues) {
      absl::StrAppend(&items.back(), ",", item);
    } else {
      items.emplace_back(item);
    }
  }
  RETURN_IF_ERROR(CheckOnce(flag, text, items));
  return items;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseNames(
    absl::string_view flag, absl::string_view kind, absl::string_view text,
    const std::vector<std::string>& accepted) {
  ASSIGN_OR_RETURN(std::vector<std::string> items, SplitList(flag, text));
  for (const std::string& item : items) {
    const std::string name = item.substr(0, item.find(':'));
    if (std::find(accepted.begin(), accepted.end(), name) == accepted.end()) {
      return Bad(flag, UnknownName(kind, name, accepted));
    }
  }
  return items;
}

absl::StatusOr<std::vector<std::string>> ParseWires(absl::string_view flag,
                                                    absl::string_view text) {
  ASSIGN_OR_RETURN(std::vector<std::string> items, SplitList(flag, text));
  for (std::string& item : items) {
    const absl::StatusOr<WireNames> wire =
        ParseWire(absl::StrReplaceAll(item, {{"/", ","}}));
    if (!wire.ok()) return Bad(flag, wire.status().message());
    item = wire->text();
  }
  RETURN_IF_ERROR(CheckOnce(flag, text, items));
  return items;
}

absl::StatusOr<std::vector<int>> ParseCounts(absl::string_view flag,
                                             absl::string_view text) {
  ASSIGN_OR_RETURN(const std::vector<std::string> items, SplitList(flag, text));
  std::vector<int> counts;
  for (const std::string& item : items) {
    int count = 0;
    if (!IsNumber(item) || !absl::SimpleAtoi(item, &count) || count < 1) {
      return Bad(flag, absl::StrCat("found \"", item,
                                    "\", expected whole numbers, at least 1"));
    }
    if (std::find(counts.begin(), counts.end(), count) != counts.end()) {
      return Bad(flag, absl::StrCat(count, " comes twice in \"", text,
                                    "\"; give it once"));
    }
    counts.push_back(count);
  }
  return counts;
}

absl::StatusOr<std::vector<double>> ParseAccuracies(absl::string_view flag,
                                                    absl::string_view text) {
  ASSIGN_OR_RETURN(const std::vector<std::string> items, SplitList(flag, text));
  std::vector<double> accuracies;
  for (const std::string& item : items) {
    double accuracy = 0;
    if (!absl::SimpleAtod(item, &accuracy) || !(accuracy > 0) ||
        !(accuracy <= 1)) {
      return Bad(flag, absl::StrCat("found \"", item,
                                    "\", expected accuracies above 0, at most "
                                    "1, as in 0.85,0.88"));
    }
    if (std::find(accuracies.begin(), accuracies.end(), accuracy) !=
        accuracies.end()) {
      return Bad(flag, absl::StrCat(accuracy, " comes twice in \"", text,
                                    "\"; give it once"));
    }
    accuracies.push_back(accuracy);
  }
  std::sort(accuracies.begin(), accuracies.end());
  return accuracies;
}

}  // namespace monsoon
