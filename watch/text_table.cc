// SPDX-License-Identifier: Apache-2.0
#include "watch/text_table.h"

#include <algorithm>
#include <cstddef>

#include "watch/display_text.h"

namespace monsoon {
namespace {

constexpr int kBetween = 2;  // columns

}  // namespace

std::vector<InkedLine> TextTable::Lines(int width) const {
  std::vector<int> widths;
  for (size_t c = 0; c < columns.size(); ++c) {
    widths.push_back(ColumnsOf(columns[c].name));
    for (const InkedLine& row : rows) {
      widths.back() = std::max(widths.back(), ColumnsOf(row[c].text));
    }
  }
  std::vector<size_t> kept;
  int total = -kBetween;
  for (size_t c = 0; c < columns.size(); ++c) {
    kept.push_back(c);
    total += kBetween + widths[c];
  }
  while (total > width) {
    const auto least =
        std::max_element(kept.begin(), kept.end(), [this](size_t a, size_t b) {
          return columns[a].dispensable < columns[b].dispensable;
        });
    if (columns[*least].dispensable == 0) break;
    total -= kBetween + widths[*least];
    kept.erase(least);
  }
  const auto line = [&](const auto& cell) {
    InkedLine made;
    for (const size_t c : kept) {
      InkedText text = cell(c);
      const auto pad = static_cast<size_t>(widths[c] - ColumnsOf(text.text));
      const size_t before =
          (c == kept.front() ? 0 : kBetween) + (columns[c].is_left ? 0 : pad);
      made.push_back({std::string(before, ' ')});
      made.push_back(std::move(text));
      if (columns[c].is_left && c != kept.back()) {
        made.push_back({std::string(pad, ' ')});
      }
    }
    return made;
  };
  std::vector<InkedLine> lines;
  lines.push_back(line([this](size_t c) {
    return InkedText{columns[c].name, Ink::kFaint};
  }));
  for (const InkedLine& row : rows) {
    lines.push_back(line([&row](size_t c) { return row[c]; }));
  }
  return lines;
}

}  // namespace monsoon
