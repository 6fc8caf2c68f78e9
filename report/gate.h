// SPDX-License-Identifier: Apache-2.0
//
// What `monsoon compare --gate` holds a comparison to:
//
//   gate  := bound ("," bound)*
//   bound := (FIELD | "abs(" FIELD ")") (">=" | "<=" | ">" | "<") NUMBER ["%"]
//
// FIELD is a name of ComparedFields(). A bound is on the difference of the
// medians, B - A, with "%" in percent of A; abs(FIELD) is B's median itself,
// and has no percent. Spaces mean nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "report/comparison.h"

namespace monsoon {

struct GateBound {
  enum Operator { kAtLeast, kAtMost, kAbove, kBelow };

  std::string text;     // as it was written
  int field = 0;        // in ComparedFields()
  bool is_abs = false;  // of B itself
  Operator op = kAtLeast;
  double bound = 0;
  bool is_percent = false;  // of A
};

// INVALID_ARGUMENT names the place (the first character is 1), what is found
// there and what is expected.
absl::StatusOr<std::vector<GateBound>> ParseGate(absl::string_view text);

// Does `found` hold? `scale` is the largest of the numbers that it was computed
// from: what their rounding may have done to it counts as equal, so that 0.845
// - 0.85 is at least -0.005.
bool Holds(const GateBound& bound, double found, double scale);

// What keeps a gate from holding.
struct GateShortfall {
  std::string cell;   // as DescribeCells; empty: the comparison as a whole
  std::string found;  // "+23.4 % (95 % interval +12.1..+30 %)", or why nothing
};

struct GateResult {
  struct Checked {
    std::string bound;
    int cells = 0;  // in which it was
    std::vector<GateShortfall> shortfalls;
  };

  std::vector<Checked> checked;
  std::vector<GateShortfall> incomparable;  // whatever the bounds say
  int only_in_a = 0;  // cells, which no bound can be held to
  int only_in_b = 0;  // cells, which only an abs() can be

  bool holds() const;
};

// Checks every bound in every cell that is in both; abs() in those of B alone
// as well. Also falls short: a run of B that is not done, a value that is
// missing, and two benches without a cell in common; so that nothing passes
// because there was nothing to see.
GateResult CheckGate(absl::Span<const GateBound> bounds,
                     absl::Span<const ComparedCell> cells);

}  // namespace monsoon
