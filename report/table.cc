// SPDX-License-Identifier: Apache-2.0
#include "report/table.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"

namespace monsoon {
namespace {

// The widest text of each column. Texts are ASCII.
std::vector<size_t> Widths(const Table& table) {
  std::vector<size_t> widths;
  for (const std::string& column : table.columns) {
    widths.push_back(column.size());
  }
  for (const auto& row : table.rows) {
    MONSOON_CHECK(row.size() == widths.size(), "a row has a text per column");
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  return widths;
}

std::string Line(const std::vector<std::string>& texts,
                 const std::vector<size_t>& widths, const char* separator) {
  std::vector<std::string> padded;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string space(widths[i] - texts[i].size(), ' ');
    padded.push_back(i == 0 ? texts[i] + space : space + texts[i]);
  }
  return absl::StrJoin(padded, separator);
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string CsvLine(const std::vector<std::string>& texts) {
  std::vector<std::string> fields;
  for (const std::string& text : texts) fields.push_back(CsvField(text));
  return absl::StrCat(absl::StrJoin(fields, ","), "\n");
}

}  // namespace

std::string FormatText(const Table& table) {
  const std::vector<size_t> widths = Widths(table);
  std::string text = absl::StrCat(table.title, "\n");
  absl::StrAppend(&text, "  ", Line(table.columns, widths, "  "), "\n");
  for (const auto& row : table.rows) {
    absl::StrAppend(&text, "  ", Line(row, widths, "  "), "\n");
  }
  if (!table.note.empty()) absl::StrAppend(&text, "  ", table.note, "\n");
  return text;
}

std::string FormatMarkdown(const Table& table) {
  const std::vector<size_t> widths = Widths(table);
  std::string text;
  if (!table.title.empty()) text = absl::StrCat("**", table.title, "**\n\n");
  absl::StrAppend(&text, "| ", Line(table.columns, widths, " | "), " |\n|");
  for (size_t i = 0; i < widths.size(); ++i) {
    absl::StrAppend(&text, std::string(widths[i] + 1, '-'),
                    i == 0 ? "-|" : ":|");
  }
  absl::StrAppend(&text, "\n");
  for (const auto& row : table.rows) {
    absl::StrAppend(&text, "| ", Line(row, widths, " | "), " |\n");
  }
  if (!table.note.empty()) {
    // Else a list item, or emphasis.
    absl::StrAppend(&text, "\n",
                    absl::StrReplaceAll(table.note, {{"*", "\\*"}}), "\n");
  }
  return text;
}

std::string FormatCsv(const Table& table) {
  std::string text = CsvLine(table.columns);
  for (const auto& row : table.rows) absl::StrAppend(&text, CsvLine(row));
  return text;
}

}  // namespace monsoon
