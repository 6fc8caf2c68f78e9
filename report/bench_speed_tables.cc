// SPDX-License-Identifier: Apache-2.0
//
// The tables of report/bench_tables.h that compare speeds, a row per cell.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "report/bench_tables.h"
#include "report/bootstrap.h"
#include "report/spread.h"

namespace monsoon {
namespace {

using Runs = std::vector<const BenchRow*>;
using Texts = std::vector<std::string>;

constexpr char kSingle[] = "single";

std::vector<double> DoneValues(const Runs& runs, double BenchRow::*value) {
  std::vector<double> values;
  for (const BenchRow* run : runs) {
    if (run->status == "done") values.push_back(run->*value);
  }
  return values;
}

bool IsDisturbed(const Runs& runs) {
  return std::any_of(runs.begin(), runs.end(),
                     [](const BenchRow* run) { return run->disturbed; });
}

void Append(const Texts& more, Texts& texts) {
  texts.insert(texts.end(), more.begin(), more.end());
}

// One row of a table: a cell of the bench.
struct CellRow {
  const std::string& model;
  const BenchColumn& column;
  const BenchPlace& place;
  const Runs& runs;
};

// Calls `make` for every cell, each once; where it gives texts, they are a row
// behind the model.
void AddRows(const BenchCells& cells,
             const std::function<Texts(const CellRow&)>& make, Table& table) {
  Runs shown;
  for (const std::string& model : cells.matrix().models) {
    for (const BenchPlace& place : cells.places()) {
      for (const BenchColumn& column : cells.columns()) {
        if (!cells.IsFirstPlace(column.trainer, place)) continue;
        const Runs runs = cells.RunsAt(model, column, place);
        const Texts made = make({model, column, place, runs});
        if (made.empty()) continue;
        Texts texts = {model};
        Append(made, texts);
        table.rows.push_back(std::move(texts));
        shown.insert(shown.end(), runs.begin(), runs.end());
      }
    }
  }
  table.note = DisturbedNote(shown);
}

// The numbers of workers, servers and window of a row, where there are several.
Texts OwnTexts(const BenchCells& cells, const CellRow& row) {
  return cells.AxisTexts(cells.OwnPlace(row.column.trainer, row.place));
}

std::string MedianText(const Runs& runs, double BenchRow::*value, double unit,
                       int digits) {
  return absl::StrCat(
      DigitsText(MeasureSpread(DoneValues(runs, value)).median / unit, digits),
      IsDisturbed(runs) ? kDisturbedMark : "");
}

// Until the curves of the runs have the accuracy.
Reach TimesTo(const Runs& runs, double target) {
  std::vector<double> times;
  for (const BenchRow* run : runs) {
    const auto there = std::find_if(
        run->curve.begin(), run->curve.end(),
        [target](const auto& point) { return point.second >= target; });
    times.push_back(there == run->curve.end()
                        ? std::numeric_limits<double>::infinity()
                        : there->first);
  }
  return MeasureReach(std::move(times));
}

std::string TimesText(const Reach& reach) {
  if (reach.runs == 0) return "-";  // no such run
  const bool is_reached = std::isfinite(reach.median);
  std::string text = is_reached ? DigitsText(reach.median, 2) : "not reached";
  if (is_reached && reach.runs > 1) {
    absl::StrAppend(&text, " (", DigitsText(reach.min, 2), "..",
                    DigitsText(reach.max, 2), ")");
  }
  if (reach.reached < reach.runs) {
    absl::StrAppend(&text, " ", reach.reached, "/", reach.runs);
  }
  return text;
}

// "1.76 [1.54, 1.93]", of a base against a cell.
std::string TimesAsFast(const MedianDifference& from_cell_to_base) {
  const auto times = [](double percent) { return 1 + percent / 100; };
  const double found = times(from_cell_to_base.percent);
  const auto& interval = from_cell_to_base.percent_interval;
  if (!interval.has_value()) return DigitsText(found, 2);
  return IntervalText(found, times(interval->low), times(interval->high), 2);
}

// "-1.49 [-2.10, +0.30]", in points.
std::string PointsText(const MedianDifference& from_base_to_cell) {
  const auto points = [](double difference) {
    return std::isfinite(difference)
               ? absl::StrFormat("%+.2f", 100 * difference)
               : "-";
  };
  const auto& interval = from_base_to_cell.difference_interval;
  std::string text = points(from_base_to_cell.difference);
  if (interval.has_value()) {
    absl::StrAppend(&text, " [", points(interval->low), ", ",
                    points(interval->high), "]");
  }
  return text;
}

// Where the runs are that this cell is compared with: under the same code, if
// there are such.
Runs BaseRuns(const BenchCells& cells, const CellRow& row) {
  const std::string& against = cells.matrix().against;
  const BenchPlace place = cells.BasePlace(against, row.place);
  Runs runs = cells.RunsAt(row.model, {against, row.column.wire}, place);
  for (const std::string& wire : cells.matrix().wires) {
    if (!runs.empty()) break;
    runs = cells.RunsAt(row.model, {against, wire}, place);
  }
  return runs;
}

}  // namespace

bool HasCodes(const BenchMatrix& matrix) {
  return matrix.wires != std::vector<std::string>{"fp32"};
}

Table WireTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows) {
  struct Measure {
    const char* name;
    double BenchRow::*value;
    double unit;
    int digits;
  };
  constexpr double kMega = 1e6;  // bytes
  constexpr Measure kMeasures[] = {
      {"pushed MB", &BenchRow::bytes_up, kMega, 1},
      {"pulled MB", &BenchRow::bytes_down, kMega, 1},
      {"elapsed seconds", &BenchRow::elapsed_s, 1, 2},
      {"test accuracy", &BenchRow::test_acc, 1, 4}};
  const BenchCells cells(matrix, rows);
  Table table;
  table.title = absl::StrCat("Wire codes on ", matrix.setting);
  if (matrix.repeat > 1) {
    absl::StrAppend(&table.title, ", medians of ", matrix.repeat);
  }
  table.columns = {"model", "trainer", "batch"};
  Append(cells.AxisNames(), table.columns);
  table.columns.emplace_back("wire");
  for (const Measure& measure : kMeasures) {
    table.columns.emplace_back(measure.name);
  }
  AddRows(
      cells,
      [&](const CellRow& row) {
        Texts texts = {row.column.trainer, absl::StrCat(row.place.batch_size)};
        Append(OwnTexts(cells, row), texts);
        texts.push_back(row.column.wire);
        for (const Measure& measure : kMeasures) {
          texts.push_back(MedianText(row.runs, measure.value, measure.unit,
                                     measure.digits));
        }
        return texts;
      },
      table);
  return table;
}

Table TimeToTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows) {
  const bool has_single =
      std::find(matrix.trainers.begin(), matrix.trainers.end(), kSingle) !=
      matrix.trainers.end();
  const BenchCells cells(matrix, rows);
  Table table;
  table.title =
      absl::StrCat("Seconds to test accuracy on ", matrix.setting,
                   matrix.repeat == 1 ? "" : ", median (min..max) of ",
                   matrix.repeat == 1 ? "" : absl::StrCat(matrix.repeat));
  table.columns = {"model", "batch", "trainer"};
  Append(cells.AxisNames(), table.columns);
  for (const double target : matrix.targets) {
    table.columns.push_back(absl::StrCat("s to ", target));
    if (has_single) table.columns.emplace_back("/ single");
  }
  AddRows(
      cells,
      [&](const CellRow& row) {
        Texts texts = {absl::StrCat(row.place.batch_size),
                       cells.Title(row.column)};
        Append(OwnTexts(cells, row), texts);
        for (const double target : matrix.targets) {
          const Reach times = TimesTo(row.runs, target);
          texts.push_back(absl::StrCat(
              TimesText(times), IsDisturbed(row.runs) ? kDisturbedMark : ""));
          if (!has_single) continue;
          const double base =
              TimesTo(cells.RunsAt(row.model, {kSingle, ""}, row.place), target)
                  .median;
          // Infinite: single has not got there, and nothing can be said.
          texts.push_back(
              std::isfinite(base) ? DigitsText(times.median / base, 2) : "-");
        }
        return texts;
      },
      table);
  return table;
}

Table ScalingTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows) {
  const BenchCells cells(matrix, rows);
  Table table;
  table.title = absl::StrCat("Scaling over workers on ", matrix.setting,
                             MedianTitle(matrix.repeat));
  table.columns = {"model", "batch", "trainer"};
  Append(cells.AxisNames(), table.columns);
  Append({"samples/s", "speed-up", "efficiency"}, table.columns);
  AddRows(
      cells,
      [&](const CellRow& row) -> Texts {
        const std::set<int> workers = cells.WorkersOf(row.column.trainer);
        if (workers.size() < 2 || row.runs.empty()) return {};
        BenchPlace fewest = row.place;
        fewest.workers = *workers.begin();
        const auto rates = [](const Runs& runs) {
          return MeasureSpread(DoneValues(runs, &BenchRow::samples_per_s));
        };
        const Spread rate = rates(row.runs);
        const double speedup =
            rate.median /
            rates(cells.RunsAt(row.model, row.column, fewest)).median;
        const double efficiency = speedup * fewest.workers / row.place.workers;
        Texts texts = {absl::StrCat(row.place.batch_size),
                       cells.Name(row.column)};
        Append(OwnTexts(cells, row), texts);
        texts.push_back(
            absl::StrCat(rate.has_interval()
                             ? IntervalText(rate.median, rate.low, rate.high, 0)
                             : DigitsText(rate.median, 0),
                         IsDisturbed(row.runs) ? kDisturbedMark : ""));
        texts.push_back(DigitsText(speedup, 2));
        texts.push_back(std::isfinite(efficiency)
                            ? absl::StrFormat("%.0f %%", 100 * efficiency)
                            : "-");
        return texts;
      },
      table);
  return table;
}

Table AgainstTable(const BenchMatrix& matrix, absl::Span<const BenchRow> rows) {
  const BenchCells cells(matrix, rows);
  Table table;
  table.title =
      absl::StrCat("Against ", matrix.against, " on ", matrix.setting,
                   matrix.repeat == 1 ? "" : ", of medians [95 % interval] of ",
                   matrix.repeat == 1 ? "" : absl::StrCat(matrix.repeat));
  table.columns = {"model", "batch", "trainer"};
  Append(cells.AxisNames(), table.columns);
  Append({"elapsed s", "times as fast", "test accuracy", "points"},
         table.columns);
  AddRows(
      cells,
      [&](const CellRow& row) -> Texts {
        const Runs base = BaseRuns(cells, row);
        if (row.runs.empty() || base == row.runs) return {};
        const auto differences = [](const Runs& from, const Runs& to,
                                    double BenchRow::*value) {
          return CompareMedians(DoneValues(from, value), DoneValues(to, value));
        };
        Texts texts = {absl::StrCat(row.place.batch_size),
                       cells.Title(row.column)};
        Append(OwnTexts(cells, row), texts);
        texts.push_back(MedianText(row.runs, &BenchRow::elapsed_s, 1, 2));
        texts.push_back(absl::StrCat(
            TimesAsFast(differences(row.runs, base, &BenchRow::elapsed_s)),
            IsDisturbed(base) ? kDisturbedMark : ""));
        texts.push_back(MedianText(row.runs, &BenchRow::test_acc, 1, 4));
        texts.push_back(
            PointsText(differences(base, row.runs, &BenchRow::test_acc)));
        return texts;
      },
      table);
  return table;
}

}  // namespace monsoon
