// SPDX-License-Identifier: Apache-2.0
#include "report/gate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/spelling.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

// Reads a gate from left to right.
class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  absl::StatusOr<std::vector<GateBound>> Parse() {
    std::vector<GateBound> bounds;
    while (true) {
      SkipSpaces();
      const size_t begin = at_;
      ASSIGN_OR_RETURN(GateBound bound, ParseBound());
      bound.text = std::string(
          absl::StripAsciiWhitespace(text_.substr(begin, at_ - begin)));
      bounds.push_back(std::move(bound));
      SkipSpaces();
      if (at_ == text_.size()) return bounds;
      if (!Take(",")) {
        return Unexpected(bounds.back().is_percent || bounds.back().is_abs
                              ? "\",\" and another bound, or the end"
                              : "\"%\", \",\" and another bound, or the end");
      }
    }
  }

 private:
  absl::StatusOr<GateBound> ParseBound() {
    GateBound bound;
    ASSIGN_OR_RETURN(const std::string word, ParseWord());
    if (word == "abs" && Take("(")) {
      bound.is_abs = true;
      ASSIGN_OR_RETURN(const std::string name, ParseWord());
      ASSIGN_OR_RETURN(bound.field, FieldOf(name));
      if (!Take(")")) return Unexpected("\")\"");
    } else {
      ASSIGN_OR_RETURN(bound.field, FieldOf(word));
    }
    ASSIGN_OR_RETURN(bound.op, ParseOperator());
    ASSIGN_OR_RETURN(bound.bound, ParseNumber());
    SkipSpaces();
    const size_t percent = at_;
    bound.is_percent = Take("%");
    if (bound.is_percent && bound.is_abs) {
      at_ = percent;
      return Unexpected("none: abs() is B itself, and no part of A");
    }
    return bound;
  }

  // A name; `word_` is where it begins.
  absl::StatusOr<std::string> ParseWord() {
    SkipSpaces();
    word_ = at_;
    while (at_ < text_.size() &&
           (absl::ascii_isalnum(text_[at_]) || text_[at_] == '_')) {
      ++at_;
    }
    if (at_ == word_) {
      return Unexpected(
          absl::StrCat("a field, or abs(FIELD); fields: ",
                       absl::StrJoin(ComparedFieldNames(), ", ")));
    }
    return std::string(text_.substr(word_, at_ - word_));
  }

  absl::StatusOr<int> FieldOf(const std::string& name) const {
    const int field = FindComparedField(name);
    if (field >= 0) return field;
    return Wrong(word_, UnknownName("field", name, ComparedFieldNames()));
  }

  absl::StatusOr<GateBound::Operator> ParseOperator() {
    SkipSpaces();
    // The longer ones first.
    if (Take(">=")) return GateBound::kAtLeast;
    if (Take("<=")) return GateBound::kAtMost;
    if (Take(">")) return GateBound::kAbove;
    if (Take("<")) return GateBound::kBelow;
    return Unexpected(">=, <=, > or <");
  }

  absl::StatusOr<double> ParseNumber() {
    SkipSpaces();
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (absl::ascii_isalnum(text_[at_]) || text_[at_] == '.' ||
            text_[at_] == '+' || text_[at_] == '-')) {
      ++at_;
    }
    const absl::string_view word = text_.substr(begin, at_ - begin);
    double number = 0;
    // "inf" and "nan" are numbers to Abseil, and no bound.
    if (absl::SimpleAtod(word, &number) && std::isfinite(number)) return number;
    at_ = begin;
    return Unexpected("a number, as in -0.005 or +10%");
  }

  void SkipSpaces() {
    while (at_ < text_.size() && absl::ascii_isspace(text_[at_])) ++at_;
  }

  bool Take(absl::string_view what) {
    SkipSpaces();
    if (text_.substr(at_, what.size()) != what) return false;
    at_ += what.size();
    return true;
  }

  // What stands here, up to the next space or comma, is not `expected`.
  absl::Status Unexpected(const std::string& expected) {
    SkipSpaces();
    const absl::string_view rest = text_.substr(at_);
    const absl::string_view found =
        rest.substr(0, std::max<size_t>(1, rest.find_first_of(" \t,")));
    return Wrong(
        at_,
        absl::StrCat("found ",
                     rest.empty() ? "its end" : absl::StrCat("\"", found, "\""),
                     ", expected ", expected));
  }

  absl::Status Wrong(size_t place, const std::string& why) const {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text_, "\", character ", place + 1, ": ", why));
  }

  absl::string_view text_;
  size_t at_ = 0;
  size_t word_ = 0;
};

// Of what a bound is on: the number, and those that it was computed from.
struct Found {
  double value = MedianDifference::kNone;
  double scale = 0;
  std::string text;
};

Found FindIn(const GateBound& bound, const MedianDifference& medians) {
  const ComparedField& field =
      ComparedFields()[static_cast<size_t>(bound.field)];
  Found found;
  std::optional<Interval> interval;
  const char* unit = "";
  if (bound.is_abs) {
    found.value = medians.b;
    found.scale = std::abs(medians.b);
    found.text = absl::StrFormat("%.6g", found.value);
    return found;
  }
  if (bound.is_percent) {
    found.value = medians.percent;
    found.scale = 100 + std::abs(medians.percent);
    interval = medians.percent_interval;
    unit = " %";
  } else {
    found.value = medians.difference;
    found.scale = std::max(std::abs(medians.a), std::abs(medians.b));
    interval = medians.difference_interval;
  }
  found.text = absl::StrFormat("%+.4g%s", found.value, unit);
  if (interval.has_value()) {
    absl::StrAppendFormat(&found.text, " (95 %% interval %+.4g..%+.4g%s)",
                          interval->low, interval->high, unit);
  }
  absl::StrAppendFormat(&found.text, ", %s from %.6g to %.6g", field.name,
                        medians.a, medians.b);
  return found;
}

// Why the bound can say nothing of this cell; empty when it can.
std::string Missing(const GateBound& bound, const ComparedCell& cell) {
  const ComparedField& field =
      ComparedFields()[static_cast<size_t>(bound.field)];
  const FieldDifference& found = cell.fields[static_cast<size_t>(bound.field)];
  if (found.values_b < cell.b.done) {
    return absl::StrCat("no ", field.name, " in ", cell.b.done - found.values_b,
                        " of ", cell.b.done, " runs of B");
  }
  if (bound.is_abs) return "";
  if (cell.a.done == 0) return "no run of A is done";
  if (found.values_a == 0) return absl::StrCat("no ", field.name, " in A");
  if (bound.is_percent && !std::isfinite(found.medians.percent)) {
    return absl::StrFormat("%s is %.6g in A, of which nothing is a part",
                           field.name, found.medians.a);
  }
  return "";
}

// "1 of 3 runs of B is not done: seed 2 failed"
std::string NotDone(const CellRuns& runs) {
  const std::string endings = absl::StrJoin(
      runs.endings, ", ",
      [](std::string* text, const CellRuns::Ending& ending) {
        absl::StrAppend(text, ending.seed.empty() ? "" : "seed ", ending.seed,
                        ending.seed.empty() ? "" : " ", ending.status);
      });
  const int count = runs.runs - runs.done;
  return absl::StrCat(count, " of ", runs.runs, " runs of B ",
                      count == 1 ? "is" : "are", " not done: ", endings);
}

void CheckBound(const GateBound& bound, absl::Span<const ComparedCell> cells,
                GateResult& result) {
  GateResult::Checked checked{.bound = bound.text};
  for (const ComparedCell& cell : cells) {
    const bool applies = cell.in_both() || (bound.is_abs && cell.b.runs > 0);
    // B's runs that are not done are a shortfall already.
    if (!applies || cell.b.done == 0) continue;
    ++checked.cells;
    std::string why = Missing(bound, cell);
    if (why.empty()) {
      const Found found =
          FindIn(bound, cell.fields[static_cast<size_t>(bound.field)].medians);
      if (Holds(bound, found.value, found.scale)) continue;
      why = found.text;
    }
    checked.shortfalls.push_back({DescribeCells(cell), why});
  }
  result.checked.push_back(std::move(checked));
}

}  // namespace

absl::StatusOr<std::vector<GateBound>> ParseGate(absl::string_view text) {
  return Parser(text).Parse();
}

bool Holds(const GateBound& bound, double found, double scale) {
  const double rounding = 1e-12 * std::max(std::abs(bound.bound), scale);
  const bool is_equal = std::abs(found - bound.bound) <= rounding;
  switch (bound.op) {
    case GateBound::kAtLeast:
      return is_equal || found > bound.bound;
    case GateBound::kAtMost:
      return is_equal || found < bound.bound;
    case GateBound::kAbove:
      return !is_equal && found > bound.bound;
    case GateBound::kBelow:
      return !is_equal && found < bound.bound;
  }
  return false;
}

bool GateResult::holds() const {
  return incomparable.empty() &&
         std::all_of(checked.begin(), checked.end(), [](const Checked& bound) {
           return bound.shortfalls.empty();
         });
}

GateResult CheckGate(absl::Span<const GateBound> bounds,
                     absl::Span<const ComparedCell> cells) {
  GateResult result;
  bool any_in_both = false;
  for (const ComparedCell& cell : cells) {
    any_in_both = any_in_both || cell.in_both();
    if (cell.b.runs == 0) ++result.only_in_a;
    if (cell.a.runs == 0) ++result.only_in_b;
    if (cell.b.done < cell.b.runs) {
      result.incomparable.push_back({DescribeCells(cell), NotDone(cell.b)});
    }
  }
  if (!any_in_both) {
    result.incomparable.push_back(
        {"", "no cell is in both A and B: there is nothing to compare"});
  }
  for (const GateBound& bound : bounds) CheckBound(bound, cells, result);
  return result;
}

}  // namespace monsoon
