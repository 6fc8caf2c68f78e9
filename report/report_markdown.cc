// SPDX-License-Identifier: Apache-2.0
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "report/report_formats.h"
#include "report/run_columns.h"

namespace monsoon {
namespace {

// Tables with more rows are folded.
constexpr size_t kUnfoldedRows = 24;

// A text of a file as text: neither HTML, nor emphasis, links, code or the end
// of a cell.
std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"},
                                    {"&", "&amp;"},
                                    {"<", "&lt;"},
                                    {">", "&gt;"},
                                    {"|", "\\|"},
                                    {"*", "\\*"},
                                    {"_", "\\_"},
                                    {"`", "\\`"},
                                    {"[", "\\["},
                                    {"]", "\\]"},
                                    {"\r", " "},
                                    {"\n", " "}});
}

// The table without its title, which stands above it.
std::string TableText(const Table& table) {
  Table escaped;
  const auto add = [](const std::vector<std::string>& from,
                      std::vector<std::string>& to) {
    for (const std::string& text : from) to.push_back(Escaped(text));
  };
  add(table.columns, escaped.columns);
  for (const auto& row : table.rows) add(row, escaped.rows.emplace_back());
  return FormatMarkdown(escaped);
}

std::string Folded(const Table& table) {
  if (table.rows.size() <= kUnfoldedRows) return TableText(table);
  return absl::StrCat("<details><summary>", table.rows.size(),
                      " rows</summary>\n\n", TableText(table),
                      "\n</details>\n");
}

Table RunsTable(const Report& report) {
  Table table;
  for (const RunColumn& column : RunColumns()) {
    if (column.in_page) table.columns.emplace_back(column.title);
  }
  for (const RunSummary& run : report.runs) {
    std::vector<std::string> texts;
    for (const RunColumn& column : RunColumns()) {
      if (column.in_page) texts.push_back(CellText(column, run));
    }
    table.rows.push_back(std::move(texts));
  }
  return table;
}

}  // namespace

std::string FormatReportMarkdown(const Report& report) {
  std::string text =
      absl::StrCat("# Monsoon report\n\n", Escaped(report.summary), "\n\n");
  for (const std::string& notice : report.notices) {
    absl::StrAppend(&text, "> **Notice:** ", Escaped(notice), "\n\n");
  }
  for (const Chapter& chapter : report.chapters) {
    absl::StrAppend(&text, "## ", Escaped(chapter.title), "\n\n");
    for (const Claim& claim : chapter.claims) {
      absl::StrAppend(&text, "- **", claim.title, ":** ", Escaped(claim.text),
                      "\n");
    }
    text += "\n";
    for (const Figure& figure : chapter.figures) {
      absl::StrAppend(&text, "### ", Escaped(figure.title), "\n\n",
                      Escaped(figure.claim), " ", Escaped(figure.note), "\n\n",
                      Folded(figure.table), "\n");
    }
  }
  absl::StrAppend(&text, "## All runs\n\n", Folded(RunsTable(report)), "\n");
  if (!report.machines.rows.empty()) {
    absl::StrAppend(&text, "## Machine\n\n", TableText(report.machines), "\n");
  }
  text += "## How this was measured\n\n";
  for (const std::string& rule : report.rules) {
    absl::StrAppend(&text, "- ", Escaped(rule), "\n");
  }
  return text;
}

std::string FormatReportCsv(const Report& report) {
  return FormatCsv(RunSheet(report.runs));
}

}  // namespace monsoon
