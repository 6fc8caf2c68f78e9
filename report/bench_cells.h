// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "report/bench_row.h"

namespace monsoon {

// What the tables of a bench are ordered by, and what their titles say.
struct BenchMatrix {
  std::vector<std::string> models;
  std::vector<std::string> trainers;
  std::vector<int> batch_sizes;
  std::vector<std::string> wires = {"fp32"};
  std::vector<int> workers = {1};
  std::vector<int> servers = {1};
  std::vector<int> windows = {};     // empty: the trainers' own
  std::vector<double> targets = {};  // accuracies whose time is compared
  std::string against = "";  // the trainer that the others are compared with
  int repeat = 1;
  // What all runs have in common: "fashion-mnist, 2 workers, 1 server, ...".
  std::string setting;
};

// What stands beside another in a table: a trainer under a wire code. "" stands
// for all codes.
struct BenchColumn {
  std::string trainer;
  std::string wire;
};

// What stands under another: one value of each axis of numbers.
struct BenchPlace {
  int batch_size = 0;
  int workers = 0;
  int servers = 0;
  int window = 0;  // 0: the bench has no such axis
};

// The rows of a bench by their cells. A trainer that knows but one value of an
// axis (`single` but one worker) has its runs at every place of it. Matrix and
// rows outlive this.
class BenchCells {
 public:
  BenchCells(const BenchMatrix& matrix, absl::Span<const BenchRow> rows);

  const BenchMatrix& matrix() const { return matrix_; }
  std::vector<BenchColumn> columns() const;
  std::vector<BenchPlace> places() const;

  std::vector<const BenchRow*> RunsAt(const std::string& model,
                                      const BenchColumn& column,
                                      const BenchPlace& place) const;
  // False where another place has the same runs of the trainer before.
  bool IsFirstPlace(const std::string& trainer, const BenchPlace& place) const;
  // The place with the numbers that the trainer has there, as its runs say.
  BenchPlace OwnPlace(const std::string& trainer,
                      const BenchPlace& place) const;
  // Its numbers of workers, going up.
  std::set<int> WorkersOf(const std::string& trainer) const;
  // Where the trainer is that others at this place are compared with: with its
  // fewest workers, and the rest as it is here, as far as it has that.
  BenchPlace BasePlace(const std::string& trainer,
                       const BenchPlace& place) const;

  // "adag", "adag bf16" where codes are compared.
  std::string Name(const BenchColumn& column) const;
  // As Name, and "single (1 worker)" where the others have more.
  std::string Title(const BenchColumn& column) const;
  // Names of the axes of numbers beside the batch size that have several
  // values: "workers", "servers", "window"; and their values at a place.
  std::vector<std::string> AxisNames() const;
  std::vector<std::string> AxisTexts(const BenchPlace& place) const;

 private:
  // The values that a trainer has on each axis.
  struct Axes {
    std::set<int> workers, servers, windows;
  };
  const Axes& AxesOf(const std::string& trainer) const;

  const BenchMatrix& matrix_;
  const absl::Span<const BenchRow> rows_;
  std::map<std::string, Axes> axes_;
};

// "*", which stands behind a number that a disturbed run is part of.
extern const char kDisturbedMark[];
// What a table with such a mark says beneath: how much others took at most, in
// `runs`. "" when none is disturbed.
std::string DisturbedNote(absl::Span<const BenchRow* const> runs);

// ", median [95 % interval] of 5"; "" of one repeat.
std::string MedianTitle(int repeat);

// A number with so many digits; "-" when it is not finite.
std::string DigitsText(double value, int digits);
// "1.00 [0.90, 1.20]"
std::string IntervalText(double value, double low, double high, int digits);

}  // namespace monsoon
