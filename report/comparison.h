// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "report/bootstrap.h"
#include "report/compared_run.h"

namespace monsoon {

// What a difference means. Not a judgement where there is nothing to judge by.
enum class Verdict {
  kWithinNoise,  // the interval holds 0
  kBetter,
  kWorse,
  kHigher,  // of what is neither better nor worse
  kLower,
  kOneRepeat,  // of a side: no interval
  kNoValue,    // a side's summaries have null, or lack the field
  kNotDone,    // no run of a side is done
  kOnlyInA,
  kOnlyInB
};

// "within noise", as in tables; in JSON "within_noise".
std::string VerdictText(Verdict verdict);
bool IsDifference(Verdict verdict);  // one of the first six

struct FieldDifference {
  MedianDifference medians;  // over the runs that are done
  int values_a = 0;          // how many of those have one
  int values_b = 0;
  Verdict verdict = Verdict::kNoValue;

  // Of what is shown: percent or the difference itself.
  double Shown(const ComparedField& field) const;
  std::optional<Interval> ShownInterval(const ComparedField& field) const;
};

// The runs of one cell in one folder.
struct CellRuns {
  struct Ending {
    std::string seed;
    std::string status;  // not "done"
  };

  int runs = 0;
  int done = 0;
  std::vector<Ending> endings;  // of those that are not done
};

// What was chosen otherwise, as JSON: the values of A, and those of B.
struct SettingDifference {
  std::set<std::string> a;
  std::set<std::string> b;
};

struct ComparedCell {
  BenchCell cell;
  BenchCell cell_b;  // the same, but for two runs that somebody named
  CellRuns a;        // without runs: the cell is only in B
  CellRuns b;
  std::vector<FieldDifference> fields;  // of each of ComparedFields()
  // By key; of those that both sides name.
  std::map<std::string, SettingDifference> settings;

  bool in_both() const { return a.runs > 0 && b.runs > 0; }
};

// As DescribeCell; of two, with "against" between them.
std::string DescribeCells(const ComparedCell& cell);

// Matches the runs of two benches by their cell: every cell of either, sorted.
// The window is part of a cell where either bench has several for it, as of
// `--windows`; else it is a setting that may differ.
// Pure: the same runs, in any order, compare the same.
std::vector<ComparedCell> CompareBenches(absl::Span<const ComparedRun> a,
                                         absl::Span<const ComparedRun> b);
// Two runs that somebody named, whatever their cells: one pair. What B's cell
// has otherwise is among the settings, too.
std::vector<ComparedCell> CompareRuns(const ComparedRun& a,
                                      const ComparedRun& b);

// Those of `field` that are differences: how many, and which are what.
struct FieldTally {
  int differences = 0;
  int one_repeat = 0;
  int within_noise = 0;
  int better = 0;  // or higher
  int worse = 0;   // or lower
};
FieldTally TallyOf(absl::Span<const ComparedCell> cells, int field);

}  // namespace monsoon
