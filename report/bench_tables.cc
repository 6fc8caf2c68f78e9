// SPDX-License-Identifier: Apache-2.0
#include "report/bench_tables.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "report/spread.h"

namespace monsoon {
namespace {

using Runs = std::vector<const BenchRow*>;

// What a table is about.
struct Measure {
  const char* name;
  double BenchRow::*value;
  int digits;
};

constexpr Measure kElapsed = {"elapsed seconds", &BenchRow::elapsed_s, 2};
constexpr Measure kAccuracy = {"test accuracy", &BenchRow::test_acc, 4};

// The runs of one cell.
struct Cell {
  Spread spread;       // of those that are done
  int done = 0;        // how many those are
  std::string ending;  // how the first of the others ended
  bool disturbed = false;
};

Cell CellOf(const Runs& runs, const Measure& measure) {
  Cell cell;
  std::vector<double> values;
  for (const BenchRow* run : runs) {
    cell.disturbed = cell.disturbed || run->disturbed;
    if (run->status == "done") {
      values.push_back(run->*measure.value);
      ++cell.done;
    } else if (cell.ending.empty()) {
      cell.ending = run->status;
    }
  }
  cell.spread = MeasureSpread(std::move(values));
  return cell;
}

// The median and how sure it is; see the header.
std::string ValueText(const Spread& spread, int digits) {
  if (spread.has_interval()) {
    return IntervalText(spread.median, spread.low, spread.high, digits);
  }
  std::string text = DigitsText(spread.median, digits);
  if (spread.count > 1) {
    absl::StrAppend(&text, " (", DigitsText(spread.min, digits), "..",
                    DigitsText(spread.max, digits), ")");
  }
  return text;
}

std::string CellText(const Cell& cell, const BenchMatrix& matrix, int digits) {
  if (cell.done == 0) return cell.ending.empty() ? "-" : cell.ending;
  std::string text = ValueText(cell.spread, digits);
  if (cell.disturbed) text += kDisturbedMark;
  if (cell.done < matrix.repeat) {
    absl::StrAppend(&text, " ", cell.done, "/", matrix.repeat);
  }
  return text;
}

Table PivotTable(const BenchCells& cells, const std::string& model,
                 const Measure& measure) {
  const BenchMatrix& matrix = cells.matrix();
  Table table;
  table.title = absl::StrCat(model, " on ", matrix.setting, ": ", measure.name,
                             MedianTitle(matrix.repeat));
  table.columns = {"batch"};
  for (const std::string& axis : cells.AxisNames()) {
    table.columns.push_back(axis);
  }
  const std::vector<BenchColumn> columns = cells.columns();
  for (const BenchColumn& column : columns) {
    table.columns.push_back(cells.Title(column));
  }
  Runs shown;
  for (const BenchPlace& place : cells.places()) {
    std::vector<std::string> texts = {absl::StrCat(place.batch_size)};
    for (std::string& text : cells.AxisTexts(place)) {
      texts.push_back(std::move(text));
    }
    for (const BenchColumn& column : columns) {
      const Runs runs = cells.RunsAt(model, column, place);
      texts.push_back(CellText(CellOf(runs, measure), matrix, measure.digits));
      shown.insert(shown.end(), runs.begin(), runs.end());
    }
    table.rows.push_back(std::move(texts));
  }
  table.note = DisturbedNote(shown);
  return table;
}

std::vector<Table> PivotTables(const BenchMatrix& matrix,
                               absl::Span<const BenchRow> rows,
                               const Measure& measure) {
  const BenchCells cells(matrix, rows);
  std::vector<Table> tables;
  for (const std::string& model : matrix.models) {
    tables.push_back(PivotTable(cells, model, measure));
  }
  return tables;
}

// With six digits, for other programs; empty for what is not finite.
std::string SheetText(double value) {
  return std::isfinite(value) ? absl::StrFormat("%.6g", value) : "";
}

Table Sheet(const BenchMatrix& matrix, absl::Span<const BenchRow> rows,
            const Measure& measure) {
  const BenchCells cells(matrix, rows);
  Table table;
  const std::vector<BenchColumn> columns = cells.columns();
  table.columns = {"model", "batch_size"};
  for (const std::string& axis : cells.AxisNames()) {
    table.columns.push_back(axis);
  }
  for (const BenchColumn& column : columns) {
    const std::string name = cells.Name(column);
    table.columns.push_back(name);
    if (matrix.repeat == 1) continue;
    table.columns.push_back(name + "_min");
    table.columns.push_back(name + "_max");
  }
  for (const std::string& model : matrix.models) {
    for (const BenchPlace& place : cells.places()) {
      std::vector<std::string> texts = {model, absl::StrCat(place.batch_size)};
      for (std::string& text : cells.AxisTexts(place)) {
        texts.push_back(std::move(text));
      }
      for (const BenchColumn& column : columns) {
        const Spread spread =
            CellOf(cells.RunsAt(model, column, place), measure).spread;
        texts.push_back(SheetText(spread.median));
        if (matrix.repeat == 1) continue;
        texts.push_back(SheetText(spread.min));
        texts.push_back(SheetText(spread.max));
      }
      table.rows.push_back(std::move(texts));
    }
  }
  return table;
}

// The place of a value in a list; behind all when it is not there.
template <typename Value>
size_t Place(const std::vector<Value>& values, const Value& value) {
  return std::find(values.begin(), values.end(), value) - values.begin();
}

std::vector<BenchRow> InOrder(const BenchMatrix& matrix,
                              absl::Span<const BenchRow> rows) {
  std::vector<BenchRow> sorted(rows.begin(), rows.end());
  const auto key = [&matrix](const BenchRow& row) {
    return std::make_tuple(
        Place(matrix.models, row.model),
        Place(matrix.batch_sizes, row.batch_size),
        Place(matrix.trainers, row.trainer), Place(matrix.workers, row.workers),
        Place(matrix.servers, row.servers), Place(matrix.windows, row.window),
        Place(matrix.wires, row.wire), row.seed);
  };
  std::stable_sort(
      sorted.begin(), sorted.end(),
      [&key](const BenchRow& a, const BenchRow& b) { return key(a) < key(b); });
  return sorted;
}

// A column of the table of runs.
struct RunText {
  const char* title;
  std::string (*text)(const BenchRow& row);
};

std::vector<RunText> RunTexts(const BenchMatrix& matrix) {
  using Row = const BenchRow&;
  std::vector<RunText> texts = {
      {"model", [](Row row) { return row.model; }},
      {"trainer", [](Row row) { return row.trainer; }},
      {"batch", [](Row row) { return absl::StrCat(row.batch_size); }}};
  if (HasCodes(matrix)) {
    texts.push_back({"wire", [](Row row) { return row.wire; }});
  }
  texts.push_back(
      {"workers", [](Row row) { return absl::StrCat(row.workers); }});
  if (matrix.servers.size() > 1) {
    texts.push_back(
        {"servers", [](Row row) { return absl::StrCat(row.servers); }});
  }
  if (!matrix.windows.empty()) {
    texts.push_back({"window", [](Row row) {
                       return row.window == 0 ? "-" : absl::StrCat(row.window);
                     }});
  }
  const std::vector<RunText> others = {
      {"seed", [](Row row) { return absl::StrCat(row.seed); }},
      {"elapsed s",
       [](Row row) {
         return absl::StrCat(DigitsText(row.elapsed_s, 2),
                             row.disturbed ? kDisturbedMark : "");
       }},
      {"samples/s", [](Row row) { return DigitsText(row.samples_per_s, 0); }},
      {"staleness", [](Row row) { return DigitsText(row.staleness_mean, 2); }},
      {"test accuracy", [](Row row) { return DigitsText(row.test_acc, 4); }},
      {"status", [](Row row) { return row.status; }}};
  texts.insert(texts.end(), others.begin(), others.end());
  return texts;
}

}  // namespace

std::vector<Table> ElapsedTables(const BenchMatrix& matrix,
                                 absl::Span<const BenchRow> rows) {
  return PivotTables(matrix, rows, kElapsed);
}

std::vector<Table> AccuracyTables(const BenchMatrix& matrix,
                                  absl::Span<const BenchRow> rows) {
  return PivotTables(matrix, rows, kAccuracy);
}

Table ElapsedSheet(const BenchMatrix& matrix, absl::Span<const BenchRow> rows) {
  return Sheet(matrix, rows, kElapsed);
}

Table AccuracySheet(const BenchMatrix& matrix,
                    absl::Span<const BenchRow> rows) {
  return Sheet(matrix, rows, kAccuracy);
}

Table RunsTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows) {
  const std::vector<RunText> columns = RunTexts(matrix);
  Table table;
  table.title = absl::StrCat("Runs on ", matrix.setting);
  for (const RunText& column : columns)
    table.columns.emplace_back(column.title);
  Runs shown;
  for (const BenchRow& row : InOrder(matrix, rows)) {
    std::vector<std::string> texts;
    for (const RunText& column : columns) texts.push_back(column.text(row));
    table.rows.push_back(std::move(texts));
  }
  for (const BenchRow& row : rows) shown.push_back(&row);
  table.note = DisturbedNote(shown);
  return table;
}

}  // namespace monsoon
