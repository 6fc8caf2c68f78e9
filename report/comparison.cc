// SPDX-License-Identifier: Apache-2.0
#include "report/comparison.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace monsoon {
namespace {

// The runs of one cell.
struct Matched {
  std::vector<const ComparedRun*> a;
  std::vector<const ComparedRun*> b;
};
using Runs = std::vector<const ComparedRun*>;

CellRuns CountRuns(const Runs& runs) {
  CellRuns counted;
  for (const ComparedRun* run : runs) {
    ++counted.runs;
    if (run->is_done()) {
      ++counted.done;
    } else {
      counted.endings.push_back({run->seed, run->status});
    }
  }
  return counted;
}

// The finite ones, of runs that are done.
std::vector<double> ValuesOf(const Runs& runs, size_t field) {
  std::vector<double> values;
  for (const ComparedRun* run : runs) {
    const double value = run->values[field];
    if (run->is_done() && std::isfinite(value)) values.push_back(value);
  }
  return values;
}

Verdict Judge(const ComparedField& field, const FieldDifference& found) {
  const std::optional<Interval> interval = found.ShownInterval(field);
  if (!interval.has_value()) return Verdict::kOneRepeat;
  if (interval->Holds(0)) return Verdict::kWithinNoise;
  const bool is_higher = interval->low > 0;
  if (field.better == ComparedField::kNeither) {
    return is_higher ? Verdict::kHigher : Verdict::kLower;
  }
  return is_higher == (field.better == ComparedField::kHigher)
             ? Verdict::kBetter
             : Verdict::kWorse;
}

FieldDifference CompareField(const Matched& runs, const ComparedCell& cell,
                             size_t index) {
  const ComparedField& field = ComparedFields()[index];
  const std::vector<double> a = ValuesOf(runs.a, index);
  const std::vector<double> b = ValuesOf(runs.b, index);
  FieldDifference found;
  found.medians = CompareMedians(a, b);
  found.values_a = static_cast<int>(a.size());
  found.values_b = static_cast<int>(b.size());
  if (cell.b.runs == 0) {
    found.verdict = Verdict::kOnlyInA;
  } else if (cell.a.runs == 0) {
    found.verdict = Verdict::kOnlyInB;
  } else if (cell.a.done == 0 || cell.b.done == 0) {
    found.verdict = Verdict::kNotDone;
  } else if (!std::isfinite(found.Shown(field))) {
    found.verdict = Verdict::kNoValue;
  } else {
    found.verdict = Judge(field, found);
  }
  return found;
}

std::map<std::string, std::set<std::string>> SettingsOf(const Runs& runs) {
  std::map<std::string, std::set<std::string>> settings;
  for (const ComparedRun* run : runs) {
    for (const auto& [key, value] : run->settings) settings[key].insert(value);
  }
  return settings;
}

std::map<std::string, SettingDifference> CompareSettings(const Matched& runs) {
  std::map<std::string, SettingDifference> differs;
  const auto of_b = SettingsOf(runs.b);
  for (const auto& [key, a] : SettingsOf(runs.a)) {
    const auto b = of_b.find(key);
    if (b != of_b.end() && b->second != a) differs[key] = {a, b->second};
  }
  return differs;
}

ComparedCell CompareCell(const BenchCell& cell, const BenchCell& cell_b,
                         const Matched& runs) {
  ComparedCell compared{.cell = cell, .cell_b = cell_b};
  compared.a = CountRuns(runs.a);
  compared.b = CountRuns(runs.b);
  for (size_t field = 0; field < ComparedFields().size(); ++field) {
    compared.fields.push_back(CompareField(runs, compared, field));
  }
  compared.settings = CompareSettings(runs);
  return compared;
}

BenchCell WithoutWindow(BenchCell cell) {
  cell.window = 0;
  return cell;
}

// Adds the cells, without their windows, of which `runs` have several windows.
void AddSeveral(absl::Span<const ComparedRun> runs,
                std::set<BenchCell>& cells) {
  std::map<BenchCell, std::set<int>> windows;
  for (const ComparedRun& run : runs) {
    windows[WithoutWindow(run.cell)].insert(run.cell.window);
  }
  for (const auto& [cell, of] : windows) {
    if (of.size() > 1) cells.insert(cell);
  }
}

}  // namespace

std::string DescribeCells(const ComparedCell& cell) {
  if (cell.cell == cell.cell_b) return DescribeCell(cell.cell);
  return absl::StrCat(DescribeCell(cell.cell), " against ",
                      DescribeCell(cell.cell_b));
}

std::string VerdictText(Verdict verdict) {
  switch (verdict) {
    case Verdict::kWithinNoise:
      return "within noise";
    case Verdict::kBetter:
      return "better";
    case Verdict::kWorse:
      return "worse";
    case Verdict::kHigher:
      return "higher";
    case Verdict::kLower:
      return "lower";
    case Verdict::kOneRepeat:
      return "one repeat";
    case Verdict::kNoValue:
      return "no value";
    case Verdict::kNotDone:
      return "not done";
    case Verdict::kOnlyInA:
      return "only in A";
    case Verdict::kOnlyInB:
      return "only in B";
  }
  return "";
}

bool IsDifference(Verdict verdict) { return verdict <= Verdict::kOneRepeat; }

double FieldDifference::Shown(const ComparedField& field) const {
  return field.is_relative ? medians.percent : medians.difference;
}

std::optional<Interval> FieldDifference::ShownInterval(
    const ComparedField& field) const {
  return field.is_relative ? medians.percent_interval
                           : medians.difference_interval;
}

std::vector<ComparedCell> CompareBenches(absl::Span<const ComparedRun> a,
                                         absl::Span<const ComparedRun> b) {
  // Without their windows, the cells of which a bench has several.
  std::set<BenchCell> has_several;
  AddSeveral(a, has_several);
  AddSeveral(b, has_several);
  const auto cell_of = [&has_several](const ComparedRun& run) {
    const BenchCell cell = WithoutWindow(run.cell);
    return has_several.contains(cell) ? run.cell : cell;
  };
  std::map<BenchCell, Matched> cells;
  for (const ComparedRun& run : a) cells[cell_of(run)].a.push_back(&run);
  for (const ComparedRun& run : b) cells[cell_of(run)].b.push_back(&run);
  std::vector<ComparedCell> compared;
  for (const auto& [cell, runs] : cells) {
    compared.push_back(CompareCell(cell, cell, runs));
  }
  return compared;
}

std::vector<ComparedCell> CompareRuns(const ComparedRun& a,
                                      const ComparedRun& b) {
  return {
      CompareCell(WithoutWindow(a.cell), WithoutWindow(b.cell), {{&a}, {&b}})};
}

FieldTally TallyOf(absl::Span<const ComparedCell> cells, int field) {
  FieldTally tally;
  for (const ComparedCell& cell : cells) {
    const Verdict verdict = cell.fields[static_cast<size_t>(field)].verdict;
    if (!IsDifference(verdict)) continue;
    ++tally.differences;
    if (verdict == Verdict::kOneRepeat) ++tally.one_repeat;
    if (verdict == Verdict::kWithinNoise) ++tally.within_noise;
    if (verdict == Verdict::kBetter || verdict == Verdict::kHigher) {
      ++tally.better;
    }
    if (verdict == Verdict::kWorse || verdict == Verdict::kLower) ++tally.worse;
  }
  return tally;
}

}  // namespace monsoon
