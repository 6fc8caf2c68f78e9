// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace monsoon {

// Texts in rows and columns under a title. Every row is as long as `columns`.
struct Table {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  std::string note = "";  // beneath it; empty for none
};

// For a terminal: the first column to the left, the others to the right.
std::string FormatText(const Table& table);
// GitHub's Markdown, the title in bold above it where there is one.
std::string FormatMarkdown(const Table& table);
// RFC 4180 with "\n", without title and note.
std::string FormatCsv(const Table& table);

}  // namespace monsoon
