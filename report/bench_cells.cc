// SPDX-License-Identifier: Apache-2.0
#include "report/bench_cells.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "report/bootstrap.h"

namespace monsoon {
namespace {

// Has a trainer with these values its runs at `value`?
bool IsAt(int found, int value, const std::set<int>& values) {
  return found == value || values.size() <= 1;
}

int Own(int value, const std::set<int>& values) {
  return values.size() == 1 ? *values.begin() : value;
}

// One value stands for all of an axis: at the first of them.
bool IsFirst(int value, const std::vector<int>& axis,
             const std::set<int>& values) {
  return values.size() > 1 || axis.empty() || value == axis.front();
}

int Nearest(int value, const std::set<int>& values) {
  if (values.empty() || values.contains(value)) return value;
  return *values.begin();
}

std::vector<int> OrNone(const std::vector<int>& values) {
  return values.empty() ? std::vector<int>{0} : values;
}

}  // namespace

const char kDisturbedMark[] = "*";

BenchCells::BenchCells(const BenchMatrix& matrix,
                       absl::Span<const BenchRow> rows)
    : matrix_(matrix), rows_(rows) {
  for (const BenchRow& row : rows) {
    Axes& axes = axes_[row.trainer];
    axes.workers.insert(row.workers);
    axes.servers.insert(row.servers);
    axes.windows.insert(row.window);
  }
}

const BenchCells::Axes& BenchCells::AxesOf(const std::string& trainer) const {
  static const Axes kNone;
  const auto found = axes_.find(trainer);
  return found == axes_.end() ? kNone : found->second;
}

std::vector<BenchColumn> BenchCells::columns() const {
  std::vector<BenchColumn> columns;
  for (const std::string& trainer : matrix_.trainers) {
    for (const std::string& wire : matrix_.wires) {
      columns.push_back({trainer, wire});
    }
  }
  return columns;
}

std::vector<BenchPlace> BenchCells::places() const {
  std::vector<BenchPlace> places;
  for (const int batch_size : matrix_.batch_sizes) {
    for (const int workers : matrix_.workers) {
      for (const int servers : matrix_.servers) {
        for (const int window : OrNone(matrix_.windows)) {
          places.push_back({batch_size, workers, servers, window});
        }
      }
    }
  }
  return places;
}

std::vector<const BenchRow*> BenchCells::RunsAt(const std::string& model,
                                                const BenchColumn& column,
                                                const BenchPlace& place) const {
  const Axes& axes = AxesOf(column.trainer);
  std::vector<const BenchRow*> runs;
  for (const BenchRow& row : rows_) {
    const bool is_there =
        row.model == model && row.trainer == column.trainer &&
        (column.wire.empty() || row.wire == column.wire) &&
        row.batch_size == place.batch_size &&
        IsAt(row.workers, place.workers, axes.workers) &&
        IsAt(row.servers, place.servers, axes.servers) &&
        (place.window == 0 || IsAt(row.window, place.window, axes.windows));
    if (is_there) runs.push_back(&row);
  }
  return runs;
}

bool BenchCells::IsFirstPlace(const std::string& trainer,
                              const BenchPlace& place) const {
  const Axes& axes = AxesOf(trainer);
  return IsFirst(place.workers, matrix_.workers, axes.workers) &&
         IsFirst(place.servers, matrix_.servers, axes.servers) &&
         IsFirst(place.window, matrix_.windows, axes.windows);
}

BenchPlace BenchCells::OwnPlace(const std::string& trainer,
                                const BenchPlace& place) const {
  const Axes& axes = AxesOf(trainer);
  return {place.batch_size, Own(place.workers, axes.workers),
          Own(place.servers, axes.servers), Own(place.window, axes.windows)};
}

std::set<int> BenchCells::WorkersOf(const std::string& trainer) const {
  return AxesOf(trainer).workers;
}

BenchPlace BenchCells::BasePlace(const std::string& trainer,
                                 const BenchPlace& place) const {
  const Axes& axes = AxesOf(trainer);
  return {place.batch_size,
          axes.workers.empty() ? place.workers : *axes.workers.begin(),
          Nearest(place.servers, axes.servers),
          place.window == 0 ? 0 : Nearest(place.window, axes.windows)};
}

std::string BenchCells::Name(const BenchColumn& column) const {
  if (matrix_.wires.size() == 1) return column.trainer;
  return absl::StrCat(column.trainer, " ", column.wire);
}

std::string BenchCells::Title(const BenchColumn& column) const {
  const std::set<int>& workers = AxesOf(column.trainer).workers;
  const bool is_usual =
      workers.size() != 1 || (matrix_.workers.size() == 1 &&
                              *workers.begin() == matrix_.workers.front());
  std::string name = Name(column);
  if (is_usual) return name;
  return absl::StrCat(name, " (", *workers.begin(), " worker",
                      *workers.begin() == 1 ? ")" : "s)");
}

std::vector<std::string> BenchCells::AxisNames() const {
  std::vector<std::string> names;
  if (matrix_.workers.size() > 1) names.emplace_back("workers");
  if (matrix_.servers.size() > 1) names.emplace_back("servers");
  if (matrix_.windows.size() > 1) names.emplace_back("window");
  return names;
}

std::vector<std::string> BenchCells::AxisTexts(const BenchPlace& place) const {
  std::vector<std::string> texts;
  if (matrix_.workers.size() > 1) texts.push_back(absl::StrCat(place.workers));
  if (matrix_.servers.size() > 1) texts.push_back(absl::StrCat(place.servers));
  if (matrix_.windows.size() > 1) {
    texts.push_back(place.window == 0 ? "-" : absl::StrCat(place.window));
  }
  return texts;
}

std::string DisturbedNote(absl::Span<const BenchRow* const> runs) {
  double most = BenchRow::kNone;
  double steal = BenchRow::kNone;
  bool is_disturbed = false;
  for (const BenchRow* run : runs) {
    if (!run->disturbed) continue;
    is_disturbed = true;
    most = std::fmax(most, run->other_load);
    steal = std::fmax(steal, run->steal);
  }
  if (!is_disturbed) return "";
  std::string note = absl::StrCat(kDisturbedMark, " disturbed: during a run ");
  if (std::isfinite(most)) {
    absl::StrAppend(&note, "other processes used up to ", DigitsText(most, 2),
                    " of a core, ");
  }
  if (steal > kMostStolen) {
    absl::StrAppend(&note, "other machines took up to ",
                    DigitsText(100 * steal, 1), " % of the time, ");
  }
  return note + "which --repeat-disturbed makes again";
}

std::string MedianTitle(int repeat) {
  if (repeat == 1) return "";
  return absl::StrCat(
      ", median ", repeat < kIntervalRepeats ? "(min..max)" : "[95 % interval]",
      " of ", repeat);
}

std::string DigitsText(double value, int digits) {
  return std::isfinite(value) ? absl::StrFormat("%.*f", digits, value) : "-";
}

std::string IntervalText(double value, double low, double high, int digits) {
  return absl::StrCat(DigitsText(value, digits), " [", DigitsText(low, digits),
                      ", ", DigitsText(high, digits), "]");
}

}  // namespace monsoon
