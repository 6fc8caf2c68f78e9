// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "report/page/page.h"
#include "report/report_formats.h"
#include "report/report_json.h"
#include "report/run_columns.h"

namespace monsoon {
namespace {

// A text of a file as text, between tags and in a quoted attribute.
std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"},
                                    {"<", "&lt;"},
                                    {">", "&gt;"},
                                    {"\"", "&quot;"},
                                    {"'", "&#39;"}});
}

// JSON inside a script element, which "</script>" and "<!--" would end.
std::string ScriptJson(const nlohmann::ordered_json& json) {
  return absl::StrReplaceAll(DumpJson(json, -1), {{"<", "\\u003c"}});
}

// "<p>TEXT</p>"
std::string Element(absl::string_view tag, absl::string_view attributes,
                    absl::string_view text) {
  return absl::StrCat("<", tag, attributes.empty() ? "" : " ", attributes, ">",
                      Escaped(text), "</", tag, ">\n");
}

// A table in a box that scrolls by itself, also with the keyboard.
std::string ScrolledTable(const std::string& label, const std::string& table) {
  return absl::StrCat(
      "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"",
      Escaped(label), "\">\n", table, "</div>\n");
}

std::string TableHtml(const Table& table, const std::string& caption) {
  std::string text =
      absl::StrCat("<table>\n", Element("caption", "", caption), "<thead><tr>");
  for (const std::string& column : table.columns) {
    absl::StrAppend(&text, Element("th", "scope=\"col\"", column));
  }
  text += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    text += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&text, i == 0 ? Element("th", "scope=\"row\"", row[i])
                                    : Element("td", "", row[i]));
    }
    text += "</tr>\n";
  }
  return text + "</tbody></table>\n";
}

const char* KindText(Figure::Kind kind) {
  switch (kind) {
    case Figure::kBars:
      return "Bar chart";
    case Figure::kDots:
      return "Dot chart";
    case Figure::kLines:
      return "Line chart";
  }
  return "";
}

// What a screen reader says in place of the picture.
std::string Alternative(const Chapter& chapter, const Figure& figure) {
  return absl::StrCat(
      figure.title, ", ", chapter.title, ". ", KindText(figure.kind), " of ",
      figure.y.label, " by ", figure.x.label, ". ", figure.claim,
      " The numbers are in the table below. Arrow keys go from mark to mark.");
}

std::string FigureHtml(const Chapter& chapter, const Figure& figure) {
  const std::string id = Escaped(figure.id);
  return absl::StrCat(
      "<figure id=\"", id, "\" aria-labelledby=\"", id, "-title\">\n",
      Element("h3", absl::StrCat("id=\"", id, "-title\""), figure.title),
      Element("p", "class=\"finding\"", figure.claim),
      "<div class=\"plot\"><canvas role=\"img\" tabindex=\"0\" aria-label=\"",
      Escaped(Alternative(chapter, figure)), "\"></canvas></div>\n",
      Element("figcaption", "", figure.note),
      "<details><summary>The numbers</summary>\n",
      ScrolledTable(absl::StrCat("Numbers: ", figure.title),
                    TableHtml(figure.table,
                              absl::StrCat(figure.title, ", ", chapter.title))),
      "</details>\n</figure>\n");
}

std::string ClaimHtml(const Claim& claim) {
  return absl::StrCat(
      "<article class=\"claim\">\n", Element("h3", "", claim.title),
      Element("p", "class=\"value\"", claim.value),
      Element("p", "class=\"what\"", claim.what),
      Element("p", "class=\"sentence\"", claim.text), "</article>\n");
}

std::string ChapterHtml(const Chapter& chapter, size_t number) {
  const std::string id = absl::StrCat("chapter-", number);
  std::string text = absl::StrCat(
      "<section aria-labelledby=\"", id, "\">\n",
      Element("h2", absl::StrCat("id=\"", id, "\""), chapter.title),
      "<div class=\"claims\">\n");
  for (const Claim& claim : chapter.claims) text += ClaimHtml(claim);
  text += "</div>\n<div class=\"figures\">\n";
  for (const Figure& figure : chapter.figures) {
    text += FigureHtml(chapter, figure);
  }
  return text + "</div>\n</section>\n";
}

// `data-value` holds the number as results.jsonl has it, for sorting.
std::string RunCellHtml(const RunColumn& column, const RunSummary& run) {
  const nlohmann::ordered_json value = column.value(run);
  const std::string text = CellText(column, run);
  if (absl::string_view(column.key) == "command" && !value.is_null()) {
    return absl::StrCat("<td class=\"command\"><details><summary>command",
                        "</summary><code>", Escaped(text),
                        "</code></details></td>\n");
  }
  const std::string raw = value.is_null()     ? ""
                          : value.is_string() ? value.get<std::string>()
                                              : value.dump();
  return Element(
      "td",
      absl::StrCat(value.is_number() ? "class=\"number\" " : "", "data-key=\"",
                   column.key, "\" data-value=\"", Escaped(raw), "\""),
      text);
}

std::string RunsHtml(const Report& report) {
  std::string table = absl::StrCat(
      "<table id=\"runs-table\">\n",
      Element("caption", "", "All runs, failed ones too"), "<thead><tr>");
  for (const RunColumn& column : RunColumns()) {
    if (!column.in_page) continue;
    absl::StrAppend(&table, Element("th",
                                    absl::StrCat("scope=\"col\" data-key=\"",
                                                 column.key, "\""),
                                    column.title));
  }
  table += "</tr></thead>\n<tbody>\n";
  for (const RunSummary& run : report.runs) {
    absl::StrAppend(&table, "<tr data-status=\"", Escaped(run.status), "\">");
    for (const RunColumn& column : RunColumns()) {
      if (column.in_page) table += RunCellHtml(column, run);
    }
    table += "</tr>\n";
  }
  table += "</tbody></table>\n";
  return absl::StrCat("<section aria-labelledby=\"runs\">\n",
                      Element("h2", "id=\"runs\"", "All runs"),
                      "<div id=\"runs-filter\"></div>\n",
                      ScrolledTable("All runs", table), "</section>\n");
}

std::string ListHtml(const std::string& id, const std::string& title,
                     const std::vector<std::string>& items) {
  if (items.empty()) return "";
  std::string text = absl::StrCat(
      "<section class=\"", id, "\" aria-labelledby=\"", id, "\">\n",
      Element("h2", absl::StrCat("id=\"", id, "\""), title), "<ul>\n");
  for (const std::string& item : items) text += Element("li", "", item);
  return text + "</ul>\n</section>\n";
}

std::string Contents(const Report& report) {
  std::string text = ListHtml("notices", "Notices", report.notices);
  size_t number = 0;
  for (const Chapter& chapter : report.chapters) {
    text += ChapterHtml(chapter, ++number);
  }
  text += RunsHtml(report);
  if (!report.machines.rows.empty()) {
    absl::StrAppend(
        &text, "<section aria-labelledby=\"machine\">\n",
        Element("h2", "id=\"machine\"", "Machine"),
        ScrolledTable("Machine",
                      TableHtml(report.machines, "What the benches ran on")),
        "</section>\n");
  }
  return text + ListHtml("rules", "How this was measured", report.rules);
}

std::string Navigation(const Report& report) {
  std::string text;
  const auto link = [&text](const std::string& id, const std::string& title) {
    absl::StrAppend(&text, "<a href=\"#", id, "\">", Escaped(title), "</a>\n");
  };
  size_t number = 0;
  for (const Chapter& chapter : report.chapters) {
    link(absl::StrCat("chapter-", ++number), chapter.title);
  }
  link("runs", "All runs");
  if (!report.machines.rows.empty()) link("machine", "Machine");
  link("rules", "How this was measured");
  return text;
}

}  // namespace

std::string FormatHtml(const Report& report) {
  nlohmann::ordered_json figures = nlohmann::ordered_json::array();
  for (const Chapter& chapter : report.chapters) {
    for (const Figure& figure : chapter.figures) {
      figures.push_back(FigureJson(figure));
      figures.back().erase("table");  // the page has it as a table
    }
  }
  // One pass: what is put in is not looked at again.
  return absl::StrReplaceAll(PageTemplate(),
                             {{"{{summary}}", Escaped(report.summary)},
                              {"{{navigation}}", Navigation(report)},
                              {"{{contents}}", Contents(report)},
                              {"{{figures}}", ScriptJson(figures)},
                              {"{{style}}", PageStyle()},
                              {"{{library}}", ChartLibrary()},
                              {"{{script}}", PageScript()}});
}

}  // namespace monsoon
