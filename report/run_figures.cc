// SPDX-License-Identifier: Apache-2.0
//
// Charts with a line or a mark for each run.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "report/claims.h"
#include "report/figures.h"
#include "report/number_text.h"

namespace monsoon {
namespace {

std::string RunNote(const RunSummary& run) {
  return absl::StrCat("batch ", run.batch_size, ", seed ", run.seed,
                      run.done() ? "" : ", " + run.status);
}

ChartSeries RunSeries(const FigureInputs& inputs, const RunCell& cell) {
  const std::string& name = inputs.group.variants[cell.variant].name;
  return {.name = name,
          .style = inputs.styles.Of(name),
          .facet = absl::StrCat("batch ", cell.batch_size)};
}

// Adds a line or a mark of one run to the figure, and its rows to the table.
void AddRun(const FigureInputs& inputs, const RunCell& cell,
            const RunSummary& run, const Effort& effort, Figure& figure) {
  ChartSeries series = RunSeries(inputs, cell);
  series.joined = !run.curve.empty();
  for (const AccuracyPoint& point : PointsOf(run)) {
    const double x = effort.of(run, point);
    if (!std::isfinite(x)) continue;
    series.points.push_back(
        {.x = x, .y = point.accuracy, .note = RunNote(run)});
    figure.table.rows.push_back({series.name, absl::StrCat(cell.batch_size),
                                 absl::StrCat(run.seed), run.status,
                                 effort.text(x), AccuracyText(point.accuracy)});
  }
  if (!series.points.empty()) figure.series.push_back(std::move(series));
}

double BestAccuracy(const Figure& figure) {
  double best = RunSummary::kNone;
  for (const ChartSeries& series : figure.series) {
    for (const ChartPoint& point : series.points) {
      best = std::isnan(best) ? point.y : std::max(best, point.y);
    }
  }
  return best;
}

// Who gets within a point of the best accuracy with the least effort.
std::string ReachClaim(const FigureInputs& inputs, const Effort& effort,
                       double best) {
  const RunGroup& group = inputs.group;
  const double target = best - kAccuracyMargin;
  // One worker alone moves a model but twice, which says nothing of trainers.
  const bool of_several = &effort == &kMegabytes;
  const RunCell* first = nullptr;
  if (of_several) {
    first = FirstToReach(inputs.runs, group, target, effort, 2);
  }
  const bool among_several = first != nullptr;
  if (first == nullptr) {
    first = FirstToReach(inputs.runs, group, target, effort);
  }
  const std::string level = absl::StrCat(
      AccuracyText(target), ", 1 point below the best of all runs (",
      AccuracyText(best), ")");
  if (first == nullptr) {
    return absl::StrCat("No median run gets to ", level, ".");
  }
  const double least = MeasureReach(inputs.runs, *first, target, effort).median;
  int64_t as_much = -1;  // without the first
  for (const RunCell& cell : group.cells) {
    if (MeasureReach(inputs.runs, cell, target, effort).median == least) {
      ++as_much;
    }
  }
  return absl::StrCat(
      among_several ? "Of those with several workers, " : "",
      CellName(group, *first), " gets to ", level, ", with the ", effort.least,
      ": ", effort.text(least), " ", effort.unit,
      as_much == 0
          ? "."
          : absl::StrCat(", the same as ", CountedText(as_much, "other"), "."));
}

// " 2 runs without an accuracy to draw; see the table of runs."
std::string Undrawn(const FigureInputs& inputs) {
  int undrawn = 0;
  for (const RunCell& cell : inputs.group.cells) {
    for (const size_t i : cell.runs) {
      if (PointsOf(inputs.runs[i]).empty()) ++undrawn;
    }
  }
  if (undrawn == 0) return "";
  return absl::StrCat(" ", CountedText(undrawn, "run"),
                      " without an accuracy to draw; see the table of runs.");
}

}  // namespace

std::optional<Figure> ReachFigure(const FigureInputs& inputs,
                                  const Effort& effort) {
  Figure figure;
  figure.table.columns = {"trainer", "batch",     "seed",
                          "status",  effort.unit, "test accuracy"};
  bool has_curves = false;
  for (const RunCell& cell : inputs.group.cells) {
    for (const size_t i : cell.runs) {
      AddRun(inputs, cell, inputs.runs[i], effort, figure);
      has_curves = has_curves || !inputs.runs[i].curve.empty();
    }
  }
  if (figure.series.empty()) return std::nullopt;
  figure.id = absl::StrCat(inputs.id, "-by-", effort.unit);
  figure.title = absl::StrCat("Test accuracy against ", effort.title);
  figure.claim = ReachClaim(inputs, effort, BestAccuracy(figure));
  figure.note = absl::StrCat(has_curves ? "A line per run." : "A mark per run.",
                             " Up and to the left is better.", Undrawn(inputs));
  if (has_curves && &effort == &kMegabytes) {
    absl::StrAppend(&figure.note,
                    " Bytes within a run are taken as in proportion to its "
                    "samples.");
  }
  figure.kind = Figure::kLines;
  figure.x.label = &effort == &kWallTime  ? "elapsed seconds"
                   : &effort == &kSamples ? "samples processed"
                                          : "MB pushed and pulled";
  figure.y = {.label = "test accuracy", .from_zero = false};
  return figure;
}

std::optional<Figure> LossFigure(const FigureInputs& inputs) {
  Figure figure;
  figure.table.columns = {"trainer", "batch", "seed",
                          "status",  "s",     "training loss"};
  const RunCell* lowest = nullptr;
  double least = 0;
  for (const RunCell& cell : inputs.group.cells) {
    for (const size_t i : cell.runs) {
      const RunSummary& run = inputs.runs[i];
      if (run.losses.empty()) continue;
      ChartSeries series = RunSeries(inputs, cell);
      series.joined = true;
      for (const LossPoint& point : run.losses) {
        series.points.push_back(
            {.x = point.elapsed_s, .y = point.loss, .note = RunNote(run)});
        figure.table.rows.push_back({series.name, absl::StrCat(cell.batch_size),
                                     absl::StrCat(run.seed), run.status,
                                     SecondsText(point.elapsed_s),
                                     AccuracyText(point.loss)});
      }
      if (lowest == nullptr || run.losses.back().loss < least) {
        lowest = &cell;
        least = run.losses.back().loss;
      }
      figure.series.push_back(std::move(series));
    }
  }
  if (lowest == nullptr) return std::nullopt;
  figure.id = inputs.id + "-loss";
  figure.title = "Training loss against wall time";
  figure.claim = absl::StrCat(
      CellName(inputs.group, *lowest),
      " ends with the lowest training loss: ", AccuracyText(least), ".");
  figure.note = "A line per run, of the latest steps each. Lower is better.";
  figure.kind = Figure::kLines;
  figure.x.label = "elapsed seconds";
  figure.y.label = "training loss";
  return figure;
}

}  // namespace monsoon
