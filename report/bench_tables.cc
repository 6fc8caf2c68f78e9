// SPDX-License-Identifier: Apache-2.0
#include "report/bench_tables.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace monsoon {
namespace {

// What a table is about.
struct Measure {
  const char* name;
  double BenchRow::*value;
  int digits;
  double unit = 1;
};

constexpr double kMega = 1e6;  // bytes

constexpr Measure kElapsed = {"elapsed seconds", &BenchRow::elapsed_s, 2};
constexpr Measure kAccuracy = {"test accuracy", &BenchRow::test_acc, 4};
constexpr Measure kPushed = {"pushed MB", &BenchRow::bytes_up, 1, kMega};
constexpr Measure kPulled = {"pulled MB", &BenchRow::bytes_down, 1, kMega};

// What stands beside another in a table: a trainer under a wire code.
struct Column {
  std::string trainer;
  std::string wire;
};

std::vector<Column> Columns(const BenchMatrix& matrix) {
  std::vector<Column> columns;
  for (const std::string& trainer : matrix.trainers) {
    for (const std::string& wire : matrix.wires) {
      columns.push_back({trainer, wire});
    }
  }
  return columns;
}

// "adag", or "adag bf16" where codes are compared.
std::string Named(const BenchMatrix& matrix, const Column& column) {
  if (matrix.wires.size() == 1) return column.trainer;
  return absl::StrCat(column.trainer, " ", column.wire);
}

std::string Number(double value, int digits) {
  return std::isfinite(value) ? absl::StrFormat("%.*f", digits, value) : "-";
}

// The runs of one cell.
struct Cell {
  Spread spread;       // of those that are done
  int done = 0;        // how many those are
  std::string ending;  // how the first of the others ended
};

Cell CellOf(absl::Span<const BenchRow> rows, const std::string& model,
            const Column& column, int batch_size, const Measure& measure) {
  Cell cell;
  std::vector<double> values;
  for (const BenchRow& row : rows) {
    if (row.model != model || row.trainer != column.trainer ||
        row.wire != column.wire || row.batch_size != batch_size) {
      continue;
    }
    if (row.status == "done") {
      values.push_back(row.*measure.value);
      ++cell.done;
    } else if (cell.ending.empty()) {
      cell.ending = row.status;
    }
  }
  cell.spread = MeasureSpread(std::move(values));
  return cell;
}

std::string CellText(const Cell& cell, const BenchMatrix& matrix, int digits) {
  if (cell.done == 0) return cell.ending.empty() ? "-" : cell.ending;
  std::string text = Number(cell.spread.median, digits);
  if (matrix.repeat > 1) {
    absl::StrAppend(&text, " (", Number(cell.spread.min, digits), "..",
                    Number(cell.spread.max, digits), ")");
  }
  if (cell.done < matrix.repeat) {
    absl::StrAppend(&text, " ", cell.done, "/", matrix.repeat);
  }
  return text;
}

// As Named, and "single (1 worker)" where the others had more.
std::string ColumnName(const BenchMatrix& matrix,
                       absl::Span<const BenchRow> rows, const Column& column) {
  std::string name = Named(matrix, column);
  for (const BenchRow& row : rows) {
    if (row.trainer == column.trainer && row.workers != matrix.workers) {
      return absl::StrCat(name, " (", row.workers, " worker",
                          row.workers == 1 ? ")" : "s)");
    }
  }
  return name;
}

std::vector<Table> PivotTables(const BenchMatrix& matrix,
                               absl::Span<const BenchRow> rows,
                               const Measure& measure) {
  std::vector<Table> tables;
  const std::vector<Column> columns = Columns(matrix);
  for (const std::string& model : matrix.models) {
    Table table;
    table.title =
        absl::StrCat(model, " on ", matrix.setting, ": ", measure.name);
    if (matrix.repeat > 1) {
      absl::StrAppend(&table.title, ", median (min..max) of ", matrix.repeat);
    }
    table.columns = {"batch"};
    for (const Column& column : columns) {
      table.columns.push_back(ColumnName(matrix, rows, column));
    }
    for (const int batch_size : matrix.batch_sizes) {
      std::vector<std::string> texts = {absl::StrCat(batch_size)};
      for (const Column& column : columns) {
        const Cell cell = CellOf(rows, model, column, batch_size, measure);
        texts.push_back(CellText(cell, matrix, measure.digits));
      }
      table.rows.push_back(std::move(texts));
    }
    tables.push_back(std::move(table));
  }
  return tables;
}

constexpr char kSingle[] = "single";

// Of the runs of one cell, sorted: infinity where one has not got there.
using Times = std::vector<double>;

// A column without a wire code stands for all codes.
Times TimesTo(absl::Span<const BenchRow> rows, const std::string& model,
              const Column& column, int batch_size, double target) {
  Times times;
  for (const BenchRow& row : rows) {
    if (row.model != model || row.trainer != column.trainer ||
        (!column.wire.empty() && row.wire != column.wire) ||
        row.batch_size != batch_size) {
      continue;
    }
    const auto there = std::find_if(
        row.curve.begin(), row.curve.end(),
        [target](const auto& point) { return point.second >= target; });
    times.push_back(there == row.curve.end()
                        ? std::numeric_limits<double>::infinity()
                        : there->first);
  }
  std::sort(times.begin(), times.end());
  return times;
}

double Median(const std::vector<double>& sorted) {
  if (sorted.empty()) return BenchRow::kNone;
  const size_t middle = sorted.size() / 2;
  if (sorted.size() % 2 == 1) return sorted[middle];
  return (sorted[middle - 1] + sorted[middle]) / 2;
}

std::string TimesText(const Times& times) {
  if (times.empty()) return "-";  // no such run
  const int64_t reached =
      std::count_if(times.begin(), times.end(),
                    [](double time) { return std::isfinite(time); });
  const double median = Median(times);
  std::string text = std::isfinite(median) ? Number(median, 2) : "not reached";
  if (std::isfinite(median) && times.size() > 1) {
    absl::StrAppend(&text, " (", Number(times.front(), 2), "..",
                    Number(times[static_cast<size_t>(reached) - 1], 2), ")");
  }
  if (reached < static_cast<int64_t>(times.size())) {
    absl::StrAppend(&text, " ", reached, "/", times.size());
  }
  return text;
}

Table Sheet(const BenchMatrix& matrix, absl::Span<const BenchRow> rows,
            const Measure& measure) {
  Table table;
  const std::vector<Column> columns = Columns(matrix);
  table.columns = {"model", "batch_size"};
  for (const Column& column : columns) {
    const std::string name = Named(matrix, column);
    table.columns.push_back(name);
    if (matrix.repeat == 1) continue;
    table.columns.push_back(name + "_min");
    table.columns.push_back(name + "_max");
  }
  const auto text = [](double value) {
    return std::isfinite(value) ? absl::StrFormat("%.6g", value) : "";
  };
  for (const std::string& model : matrix.models) {
    for (const int batch_size : matrix.batch_sizes) {
      std::vector<std::string> texts = {model, absl::StrCat(batch_size)};
      for (const Column& column : columns) {
        const Spread spread =
            CellOf(rows, model, column, batch_size, measure).spread;
        texts.push_back(text(spread.median));
        if (matrix.repeat == 1) continue;
        texts.push_back(text(spread.min));
        texts.push_back(text(spread.max));
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

}  // namespace

Spread MeasureSpread(std::vector<double> values) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  Spread spread;
  spread.count = static_cast<int>(values.size());
  if (values.empty()) return spread;
  std::sort(values.begin(), values.end());
  spread.min = values.front();
  spread.max = values.back();
  spread.median = Median(values);
  return spread;
}

bool HasCodes(const BenchMatrix& matrix) {
  return matrix.wires != std::vector<std::string>{"fp32"};
}

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
  std::vector<BenchRow> sorted(rows.begin(), rows.end());
  const auto key = [&matrix](const BenchRow& row) {
    return std::make_tuple(Place(matrix.models, row.model),
                           Place(matrix.batch_sizes, row.batch_size),
                           Place(matrix.trainers, row.trainer),
                           Place(matrix.wires, row.wire), row.seed);
  };
  std::stable_sort(
      sorted.begin(), sorted.end(),
      [&key](const BenchRow& a, const BenchRow& b) { return key(a) < key(b); });
  Table table;
  table.title = absl::StrCat("Runs on ", matrix.setting);
  table.columns = {"model",         "trainer",   "batch",     "workers",
                   "seed",          "elapsed s", "samples/s", "staleness",
                   "test accuracy", "status"};
  if (HasCodes(matrix)) table.columns.insert(table.columns.begin() + 3, "wire");
  for (const BenchRow& row : sorted) {
    table.rows.push_back(
        {row.model, row.trainer, absl::StrCat(row.batch_size),
         absl::StrCat(row.workers), absl::StrCat(row.seed),
         Number(row.elapsed_s, 2), Number(row.samples_per_s, 0),
         Number(row.staleness_mean, 2), Number(row.test_acc, 4), row.status});
    std::vector<std::string>& texts = table.rows.back();
    if (HasCodes(matrix)) texts.insert(texts.begin() + 3, row.wire);
  }
  return table;
}

Table WireTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows) {
  Table table;
  table.title = absl::StrCat("Wire codes on ", matrix.setting);
  if (matrix.repeat > 1) {
    absl::StrAppend(&table.title, ", medians of ", matrix.repeat);
  }
  table.columns = {"model", "trainer", "batch", "wire"};
  const Measure measures[] = {kPushed, kPulled, kElapsed, kAccuracy};
  for (const Measure& measure : measures) table.columns.push_back(measure.name);
  for (const std::string& model : matrix.models) {
    for (const int batch_size : matrix.batch_sizes) {
      for (const Column& column : Columns(matrix)) {
        std::vector<std::string> texts = {
            model, column.trainer, absl::StrCat(batch_size), column.wire};
        for (const Measure& measure : measures) {
          const double median =
              CellOf(rows, model, column, batch_size, measure).spread.median;
          texts.push_back(Number(median / measure.unit, measure.digits));
        }
        table.rows.push_back(std::move(texts));
      }
    }
  }
  return table;
}

Table TimeToTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows) {
  const bool has_single =
      std::find(matrix.trainers.begin(), matrix.trainers.end(), kSingle) !=
      matrix.trainers.end();
  Table table;
  table.title =
      absl::StrCat("Seconds to test accuracy on ", matrix.setting,
                   matrix.repeat == 1 ? "" : ", median (min..max) of ",
                   matrix.repeat == 1 ? "" : absl::StrCat(matrix.repeat));
  table.columns = {"model", "batch", "trainer"};
  for (const double target : matrix.targets) {
    table.columns.push_back(absl::StrCat("s to ", target));
    if (has_single) table.columns.push_back("/ single");
  }
  for (const std::string& model : matrix.models) {
    for (const int batch_size : matrix.batch_sizes) {
      for (const Column& column : Columns(matrix)) {
        std::vector<std::string> texts = {model, absl::StrCat(batch_size),
                                          ColumnName(matrix, rows, column)};
        for (const double target : matrix.targets) {
          const Times times = TimesTo(rows, model, column, batch_size, target);
          texts.push_back(TimesText(times));
          if (!has_single) continue;
          const double base =
              Median(TimesTo(rows, model, {kSingle, ""}, batch_size, target));
          // Infinite: single has not got there, and nothing can be said.
          texts.push_back(std::isfinite(base) ? Number(Median(times) / base, 2)
                                              : "-");
        }
        table.rows.push_back(std::move(texts));
      }
    }
  }
  return table;
}

}  // namespace monsoon
