// SPDX-License-Identifier: Apache-2.0
//
// Charts with a mark for each variant and batch size.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "report/bootstrap.h"
#include "report/claims.h"
#include "report/figures.h"
#include "report/number_text.h"

namespace monsoon {
namespace {

// Behind the numbers of a cell with such a run.
constexpr char kDisturbed[] = "*";

// "failed" where no run is done, "2 of 3 done" where not all are.
std::string EndingOf(const RunCell& cell) {
  if (cell.done == 0) {
    return cell.endings.empty() ? "" : cell.endings.begin()->first;
  }
  const int runs = static_cast<int>(cell.runs.size());
  return cell.done == runs ? ""
                           : absl::StrCat(cell.done, " of ", runs, " done");
}

// A number of a cell as its mark, and as the text of its table.
struct Shown {
  ChartPoint point;
  std::string text;
};

// The figure with a series per variant, a category per batch size, and the
// table of the same shape.
template <typename Show>
Figure CellFigure(const FigureInputs& inputs, const Show& show) {
  const RunGroup& group = inputs.group;
  Figure figure;
  figure.x.label = "batch size";
  figure.table.columns = {"batch"};
  for (const int64_t batch_size : group.batch_sizes) {
    figure.x.categories.push_back(absl::StrCat(batch_size));
    figure.table.rows.push_back({absl::StrCat(batch_size)});
  }
  for (size_t v = 0; v < group.variants.size(); ++v) {
    const std::string& name = group.variants[v].name;
    ChartSeries series = {.name = name, .style = inputs.styles.Of(name)};
    figure.table.columns.push_back(name);
    for (size_t b = 0; b < group.batch_sizes.size(); ++b) {
      const RunCell* cell = group.Find(v, group.batch_sizes[b]);
      if (cell == nullptr) {
        figure.table.rows[b].emplace_back("-");
        continue;
      }
      Shown shown = show(*cell);
      shown.point.x = static_cast<double>(b);
      series.points.push_back(std::move(shown.point));
      figure.table.rows[b].push_back(std::move(shown.text));
    }
    figure.series.push_back(std::move(series));
  }
  return figure;
}

Shown ShowSpread(const RunCell& cell, const Spread& spread,
                 std::string (*text)(double)) {
  Shown shown;
  shown.point.y = spread.median;
  if (spread.count > 1) {
    shown.point.low = spread.low;
    shown.point.high = spread.high;
  }
  shown.point.note = EndingOf(cell);
  if (spread.count > 0) shown.text = SpreadText(spread, text);
  if (cell.disturbed > 0) shown.text += kDisturbed;
  absl::StrAppend(&shown.text,
                  shown.text.empty() || shown.point.note.empty() ? "" : ", ",
                  shown.point.note);
  if (shown.text.empty()) shown.text = "-";
  return shown;
}

// How many runs a mark stands for at most.
size_t MostRuns(const RunGroup& group) {
  size_t most = 0;
  for (const RunCell& cell : group.cells) {
    most = std::max(most, cell.runs.size());
  }
  return most;
}

std::string SpreadNote(const FigureInputs& inputs) {
  const size_t most = MostRuns(inputs.group);
  std::string note =
      most < 2 ? "One run each."
      : most < static_cast<size_t>(kIntervalRepeats)
          ? "Medians of up to 2 runs; the whiskers go from one to the other."
          : absl::StrCat("Medians of up to ", most,
                         " runs; the whiskers are their 95 % interval, of two "
                         "runs the range.");
  const std::vector<RunCell>& cells = inputs.group.cells;
  const bool is_disturbed =
      std::any_of(cells.begin(), cells.end(),
                  [](const RunCell& cell) { return cell.disturbed > 0; });
  if (is_disturbed) {
    absl::StrAppend(&note, " ", kDisturbed,
                    " other processes disturbed a run; see the table of runs.");
  }
  return note;
}

}  // namespace

std::optional<Figure> ElapsedFigure(const FigureInputs& inputs) {
  const std::string claim = ElapsedClaim(inputs.group);
  if (claim.empty()) return std::nullopt;
  Figure figure = CellFigure(inputs, [](const RunCell& cell) {
    return ShowSpread(cell, cell.elapsed, SecondsText);
  });
  figure.id = inputs.id + "-elapsed";
  figure.title = "Elapsed time by trainer and batch size";
  figure.claim = claim;
  figure.note = absl::StrCat("Shorter is better. ", SpreadNote(inputs));
  figure.kind = Figure::kBars;
  figure.y.label = "elapsed seconds";
  return figure;
}

std::optional<Figure> AccuracyFigure(const FigureInputs& inputs) {
  const std::string claim = AccuracyClaim(inputs.group);
  if (claim.empty()) return std::nullopt;
  Figure figure = CellFigure(inputs, [](const RunCell& cell) {
    return ShowSpread(cell, cell.accuracy, AccuracyText);
  });
  figure.id = inputs.id + "-accuracy";
  figure.title = "Test accuracy by trainer and batch size";
  figure.claim = claim;
  figure.note = absl::StrCat("Higher is better; the axis does not begin at 0. ",
                             SpreadNote(inputs));
  figure.kind = Figure::kDots;
  figure.y = {.label = "test accuracy", .from_zero = false};
  return figure;
}

std::optional<Figure> TimeToFigure(const FigureInputs& inputs,
                                   double accuracy) {
  const RunGroup& group = inputs.group;
  const bool has_curves = std::any_of(
      group.cells.begin(), group.cells.end(), [&](const RunCell& cell) {
        return std::any_of(cell.runs.begin(), cell.runs.end(), [&](size_t i) {
          return !inputs.runs[i].curve.empty();
        });
      });
  if (!has_curves) return std::nullopt;
  const auto show = [&](const RunCell& cell) {
    const Reach reach = MeasureReach(inputs.runs, cell, accuracy, kWallTime);
    Shown shown;
    if (reach.reached > 1) {
      shown.point.low = reach.min;
      shown.point.high = reach.max;
    }
    if (std::isfinite(reach.median)) {
      shown.point.y = reach.median;
      shown.text = RangeText(reach.median, reach.min, reach.max, reach.reached,
                             SecondsText);
    } else {
      shown.text = "not reached";
      shown.point.note = shown.text;
    }
    if (reach.reached < reach.runs && reach.runs > 1) {
      shown.point.note =
          absl::StrCat(reach.reached, " of ", reach.runs, " reached it");
      absl::StrAppend(&shown.text, ", ", shown.point.note);
    }
    return shown;
  };
  Figure figure = CellFigure(inputs, show);
  figure.id = absl::StrCat(inputs.id, "-time-to-", accuracy);
  figure.title = absl::StrCat("Time to accuracy ", accuracy);
  const RunCell* first = FirstToReach(inputs.runs, group, accuracy, kWallTime);
  if (first == nullptr) {
    figure.claim =
        absl::StrCat("None gets to ", accuracy, " in its median run.");
  } else {
    figure.claim = absl::StrCat(
        CellName(group, *first), " is first to ", accuracy, ": ",
        SecondsText(
            MeasureReach(inputs.runs, *first, accuracy, kWallTime).median),
        " s.");
  }
  figure.note =
      "Shorter is better. Medians; the whiskers go from the fastest run to the "
      "slowest; a run that has not got there took longer "
      "than any that has.";
  figure.y.label = absl::StrCat("seconds to ", accuracy);
  return figure;
}

}  // namespace monsoon
