// SPDX-License-Identifier: Apache-2.0
#include "report/comparison_tables.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace monsoon {
namespace {

using Cells = absl::Span<const ComparedCell>;

const ComparedField& FieldAt(int field) {
  return ComparedFields()[static_cast<size_t>(field)];
}

// Where a small number would be all zeros, the first three digits that are not.
std::string Number(double value, int digits) {
  if (!std::isfinite(value)) return "-";
  const bool is_small =
      value != 0 && std::abs(value) < 10 * std::pow(10.0, -digits);
  return is_small ? absl::StrFormat("%.3g", value)
                  : absl::StrFormat("%.*f", digits, value);
}

// What a row is of.
struct CellColumn {
  std::string name;
  std::function<std::string(const BenchCell&)> text;
  bool is_shown = true;     // in the table; else all cells have it in common
  std::string common = "";  // how a title says that: "2 workers"
};

std::string Counted(const std::string& count, const char* what) {
  return absl::StrCat(count, " ", what, count == "1" ? "" : "s");
}

// Model, trainer and batch size are always shown, the others where they differ.
std::vector<CellColumn> CellColumns(Cells cells) {
  const auto number = [](int BenchCell::*member) {
    return
        [member](const BenchCell& cell) { return absl::StrCat(cell.*member); };
  };
  std::vector<CellColumn> columns = {
      {"model", std::mem_fn(&BenchCell::model)},
      {"trainer", std::mem_fn(&BenchCell::trainer)},
      {"batch", number(&BenchCell::batch_size)},
      {"data", std::mem_fn(&BenchCell::data)},
      {"workers", number(&BenchCell::workers)},
      {"servers", number(&BenchCell::servers)},
      {"wire", std::mem_fn(&BenchCell::wire)},
      {"window", [](const BenchCell& cell) {
         return cell.window == 0 ? "-" : absl::StrCat(cell.window);
       }}};
  constexpr size_t kAlwaysShown = 3;
  for (size_t i = kAlwaysShown; i < columns.size(); ++i) {
    CellColumn& column = columns[i];
    std::set<std::string> texts;
    for (const ComparedCell& cell : cells) {
      texts.insert(column.text(cell.cell));
      texts.insert(column.text(cell.cell_b));
    }
    if (texts.size() != 1) continue;
    column.is_shown = false;
    const std::string& text = *texts.begin();
    column.common = column.name == "workers"   ? Counted(text, "worker")
                    : column.name == "servers" ? Counted(text, "server")
                    : column.name == "data"    ? text
                    : column.name == "window"
                        ? (text == "-" ? "" : absl::StrCat("window ", text))
                    : text == "fp32" ? ""  // as nobody says
                                     : absl::StrCat("wire ", text);
  }
  return columns;
}

std::string SideText(const CellRuns& runs, int values, double median,
                     const ComparedField& field) {
  if (runs.runs == 0) return "-";
  if (runs.done == 0) return runs.endings.front().status;
  if (values == 0) return "null";
  std::string text = Number(median / field.scale, field.digits);
  if (values < runs.runs) absl::StrAppend(&text, " ", values, "/", runs.runs);
  return text;
}

// "+0.12", "-0.12", but "0.00" for what rounds to that from either side.
std::string Signed(double value, int digits) {
  const double smallest_shown = 0.5 * std::pow(10.0, -digits);
  if (std::abs(value) < smallest_shown) value = 0;
  return value == 0 ? absl::StrFormat("%.*f", digits, value)
                    : absl::StrFormat("%+.*f", digits, value);
}

std::string DifferenceText(double value, const ComparedField& field) {
  if (!std::isfinite(value)) return "-";
  if (field.is_relative) return absl::StrCat(Signed(value, 1), " %");
  return Signed(value / field.scale, std::max(field.digits, 2));
}

std::string IntervalText(const std::optional<Interval>& interval,
                         const ComparedField& field) {
  if (!interval.has_value()) return "-";
  if (field.is_relative) {
    return absl::StrCat(Signed(interval->low, 1), "..",
                        Signed(interval->high, 1), " %");
  }
  return absl::StrCat(DifferenceText(interval->low, field), "..",
                      DifferenceText(interval->high, field));
}

// "" for what is not finite.
std::string Plain(double value) {
  return std::isfinite(value) ? absl::StrFormat("%.10g", value) : "";
}

void AddInterval(const std::optional<Interval>& interval,
                 std::vector<std::string>& texts) {
  texts.push_back(interval.has_value() ? Plain(interval->low) : "");
  texts.push_back(interval.has_value() ? Plain(interval->high) : "");
}

}  // namespace

bool HasValues(Cells cells, int field) {
  return std::any_of(cells.begin(), cells.end(), [field](const auto& cell) {
    const FieldDifference& found = cell.fields[static_cast<size_t>(field)];
    return found.values_a > 0 || found.values_b > 0;
  });
}

Table DifferenceTable(Cells cells, int index) {
  const ComparedField& field = FieldAt(index);
  const std::vector<CellColumn> columns = CellColumns(cells);
  Table table;
  std::vector<std::string> common;
  for (const CellColumn& column : columns) {
    if (column.is_shown) table.columns.push_back(column.name);
    if (!column.common.empty()) common.push_back(column.common);
  }
  table.title =
      absl::StrCat(field.name, field.unit.empty() ? "" : " (", field.unit,
                   field.unit.empty() ? "" : ")", common.empty() ? "" : " on ",
                   absl::StrJoin(common, ", "), ": medians",
                   field.is_relative ? ", difference in % of A" : "");
  for (const char* name : {"A", "B", "B - A", "95 % interval", "that is"}) {
    table.columns.emplace_back(name);
  }
  for (const ComparedCell& cell : cells) {
    const FieldDifference& found = cell.fields[static_cast<size_t>(index)];
    std::vector<std::string> texts;
    for (const CellColumn& column : columns) {
      if (!column.is_shown) continue;
      const std::string a = column.text(cell.cell);
      const std::string b = column.text(cell.cell_b);
      texts.push_back(a == b ? a : absl::StrCat(a, " / ", b));
    }
    texts.push_back(SideText(cell.a, found.values_a, found.medians.a, field));
    texts.push_back(SideText(cell.b, found.values_b, found.medians.b, field));
    texts.push_back(DifferenceText(found.Shown(field), field));
    texts.push_back(IntervalText(found.ShownInterval(field), field));
    texts.push_back(VerdictText(found.verdict));
    table.rows.push_back(std::move(texts));
  }
  return table;
}

Table DifferenceSheet(Cells cells) {
  Table table;
  table.columns = {"model",
                   "data",
                   "trainer",
                   "batch_size",
                   "workers",
                   "servers",
                   "wire",
                   "window",
                   "runs_a",
                   "done_a",
                   "runs_b",
                   "done_b",
                   "field",
                   "a",
                   "b",
                   "difference",
                   "difference_low",
                   "difference_high",
                   "percent",
                   "percent_low",
                   "percent_high",
                   "verdict"};
  for (const ComparedCell& cell : cells) {
    const BenchCell& of = cell.cell;
    for (size_t i = 0; i < cell.fields.size(); ++i) {
      const FieldDifference& found = cell.fields[i];
      const MedianDifference& medians = found.medians;
      std::vector<std::string> texts = {
          of.model,
          of.data,
          of.trainer,
          absl::StrCat(of.batch_size),
          absl::StrCat(of.workers),
          absl::StrCat(of.servers),
          of.wire,
          of.window == 0 ? "" : absl::StrCat(of.window),
          absl::StrCat(cell.a.runs),
          absl::StrCat(cell.a.done),
          absl::StrCat(cell.b.runs),
          absl::StrCat(cell.b.done),
          ComparedFields()[i].name,
          Plain(medians.a),
          Plain(medians.b),
          Plain(medians.difference)};
      AddInterval(medians.difference_interval, texts);
      texts.push_back(Plain(medians.percent));
      AddInterval(medians.percent_interval, texts);
      texts.push_back(VerdictText(found.verdict));
      table.rows.push_back(std::move(texts));
    }
  }
  return table;
}

std::string DescribeTally(Cells cells, int index) {
  const ComparedField& field = FieldAt(index);
  const FieldTally tally = TallyOf(cells, index);
  if (tally.differences == 0) {
    return absl::StrCat(field.name, ": nothing to compare");
  }
  const bool is_neutral = field.better == ComparedField::kNeither;
  std::vector<std::string> parts;
  const auto add = [&parts](int count, const char* what) {
    if (count > 0) parts.push_back(absl::StrCat(count, " ", what));
  };
  add(tally.within_noise, "within noise");
  add(tally.better, is_neutral ? "higher" : "better");
  add(tally.worse, is_neutral ? "lower" : "worse");
  add(tally.one_repeat, "of one repeat (no interval, may be noise)");
  return absl::StrCat(field.name, ": ", tally.differences,
                      tally.differences == 1 ? " difference" : " differences",
                      ": ", absl::StrJoin(parts, ", "));
}

std::string DescribeMethod() {
  return absl::StrCat(
      "intervals: bootstrap of the medians over repeats, ", kResamples,
      " resamples, seed ", kBootstrapSeed,
      "; a difference is within noise where its interval holds 0, and needs "
      "two repeats of A and of B to have one");
}

std::vector<std::string> DescribeNotDone(Cells cells) {
  std::vector<std::string> lines;
  const auto add = [&lines](const char* side, const ComparedCell& cell,
                            const CellRuns& runs) {
    for (const CellRuns::Ending& ending : runs.endings) {
      lines.push_back(absl::StrCat("not done in ", side, ": ",
                                   DescribeCells(cell),
                                   ending.seed.empty() ? "" : ", seed ",
                                   ending.seed, ": ", ending.status));
    }
  };
  for (const ComparedCell& cell : cells) {
    add("A", cell, cell.a);
    add("B", cell, cell.b);
  }
  return lines;
}

std::vector<std::string> DescribeSettings(Cells cells) {
  std::map<std::string, std::vector<std::string>> differences;
  size_t in_both = 0;
  for (const ComparedCell& cell : cells) {
    if (cell.in_both()) ++in_both;
    for (const auto& [key, values] : cell.settings) {
      differences[absl::StrCat(key, " is ", absl::StrJoin(values.a, " and "),
                               " in A, ", absl::StrJoin(values.b, " and "),
                               " in B")]
          .push_back(DescribeCells(cell));
    }
  }
  std::vector<std::string> lines;
  for (const auto& [text, where] : differences) {
    const bool is_everywhere = where.size() == in_both;
    lines.push_back(
        absl::StrCat("differs: ", text, is_everywhere ? "" : ", for ",
                     is_everywhere ? "" : absl::StrJoin(where, "; ")));
  }
  return lines;
}

std::vector<std::string> DescribeGate(const GateResult& gate) {
  std::vector<std::string> lines;
  const auto add = [&lines](const std::vector<GateShortfall>& shortfalls) {
    for (const GateShortfall& shortfall : shortfalls) {
      lines.push_back(absl::StrCat("  ", shortfall.cell,
                                   shortfall.cell.empty() ? "" : ": ",
                                   shortfall.found));
    }
  };
  for (const GateResult::Checked& checked : gate.checked) {
    const size_t fallen = checked.shortfalls.size();
    lines.push_back(absl::StrCat(
        "gate ", checked.bound, ": ", fallen == 0 ? "holds" : "FALLS SHORT",
        " in ", fallen == 0 ? static_cast<size_t>(checked.cells) : fallen,
        " of ", checked.cells, checked.cells == 1 ? " cell" : " cells"));
    add(checked.shortfalls);
  }
  if (!gate.incomparable.empty()) lines.emplace_back("gate: not comparable");
  add(gate.incomparable);
  std::string last = gate.holds() ? "gate: holds" : "gate: FALLS SHORT";
  if (gate.only_in_a + gate.only_in_b > 0) {
    absl::StrAppend(&last, "; with nothing to compare with: ", gate.only_in_a,
                    " cells only in A, ", gate.only_in_b, " only in B");
  }
  lines.push_back(last);
  return lines;
}

}  // namespace monsoon
