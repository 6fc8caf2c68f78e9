// SPDX-License-Identifier: Apache-2.0
#include "report/number_text.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace monsoon {
namespace {

std::string Fixed(double value, int digits) {
  return std::isfinite(value) ? absl::StrFormat("%.*f", digits, value) : "-";
}

}  // namespace

std::string SecondsText(double seconds) {
  const double size = std::fabs(seconds);
  if (size >= 100) return Fixed(seconds, 0);
  if (size >= 10) return Fixed(seconds, 1);
  if (size >= 1 || size == 0) return Fixed(seconds, 2);
  return std::isfinite(seconds) ? absl::StrFormat("%#.3g", seconds) : "-";
}

std::string AccuracyText(double accuracy) { return Fixed(accuracy, 4); }

std::string LossText(double loss) {
  return std::fabs(loss) < 1e6 || !std::isfinite(loss)
             ? Fixed(loss, 4)
             : absl::StrFormat("%.2e", loss);
}

std::string MegabytesText(double bytes) { return Fixed(bytes / 1e6, 1); }

std::string GroupedText(double value) {
  std::string text = Fixed(value, 0);
  const int64_t first = text[0] == '-' ? 1 : 0;
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > first;
       at -= 3) {
    text.insert(static_cast<size_t>(at), ",");
  }
  return text;
}

std::string RangeText(double median, double min, double max, int count,
                      std::string (*text)(double)) {
  if (count < 2) return text(median);
  return absl::StrCat(text(median), " (", text(min), " to ", text(max), ")");
}

std::string SpreadText(const Spread& spread, std::string (*text)(double)) {
  if (!spread.has_interval()) {
    return RangeText(spread.median, spread.min, spread.max, spread.count, text);
  }
  return absl::StrCat(text(spread.median), " [", text(spread.low), ", ",
                      text(spread.high), "]");
}

std::string CountedText(int64_t count, const std::string& what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

std::string ListText(const std::vector<std::string>& items) {
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    const bool is_last = i + 1 == items.size();
    absl::StrAppend(&text, i == 0 ? "" : is_last ? " and " : ", ", items[i]);
  }
  return text;
}

}  // namespace monsoon
