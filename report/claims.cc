// SPDX-License-Identifier: Apache-2.0
#include "report/claims.h"

#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "report/number_text.h"

namespace monsoon {
namespace {

constexpr char kSingle[] = "single";

const Spread& Elapsed(const RunCell& cell) { return cell.elapsed; }
const Spread& Accuracy(const RunCell& cell) { return cell.accuracy; }

using Measure = const Spread& (*)(const RunCell&);

// "3.50 s (95 % interval 3.28 to 3.53 of 3 runs)", "3.50 s (3.28 to 3.53 in 2
// runs)", "3.50 s (one run)"
std::string Measured(const Spread& spread, std::string (*text)(double),
                     const char* unit) {
  if (spread.count == 1) {
    return absl::StrCat(text(spread.median), unit, " (one run)");
  }
  const bool has_interval = spread.has_interval();
  return absl::StrCat(text(spread.median), unit, " (",
                      has_interval ? "95 % interval " : "", text(spread.low),
                      " to ", text(spread.high), has_interval ? " of " : " in ",
                      spread.count, " runs)");
}

// The cells whose interval, or range, meets that of `best`: of repeats alone,
// one value has none.
std::string Overlapping(const RunGroup& group, const RunCell& best,
                        Measure measure) {
  const Spread& ours = measure(best);
  if (ours.count < 2) return "";
  std::vector<std::string> names;
  for (const RunCell& cell : group.cells) {
    const Spread& theirs = measure(cell);
    if (&cell == &best || theirs.count < 2) continue;
    if (theirs.low <= ours.high && theirs.high >= ours.low) {
      names.push_back(CellName(group, cell));
    }
  }
  if (names.empty()) return "";
  constexpr size_t kMost = 3;
  if (names.size() > kMost) {
    const size_t more = names.size() - kMost;
    names.resize(kMost);
    names.push_back(absl::StrCat(more, " more"));
  }
  return absl::StrCat(ours.has_interval() ? " Its interval" : " Its range",
                      " overlaps with ", ListText(names), ".");
}

// ", 1.6 × as fast as single"; "" where there is nothing to compare with.
std::string AsSingle(const RunGroup& group, const RunCell& cell) {
  const double times = SpeedUp(group, cell);
  if (!std::isfinite(times)) return "";
  return absl::StrFormat(", %.1f × as fast as %s", times, kSingle);
}

// "2 diverged and 4 failed"
std::string Endings(const RunGroup& group) {
  std::map<std::string, int> sum;
  for (const RunCell& cell : group.cells) {
    for (const auto& [ending, count] : cell.endings) sum[ending] += count;
  }
  std::vector<std::string> texts;
  for (const auto& [ending, count] : sum) {
    texts.push_back(absl::StrCat(count, " ", ending));
  }
  return ListText(texts);
}

// The medians of one variant over the batch sizes: by how much they differ.
struct Movement {
  std::string name;
  double by = 0;
};

// How far the accuracy of each variant with two batch sizes or more moves.
std::vector<Movement> Movements(const RunGroup& group) {
  std::vector<Movement> movements;
  for (size_t v = 0; v < group.variants.size(); ++v) {
    std::vector<double> medians;
    for (const RunCell& cell : group.cells) {
      if (cell.variant == v) medians.push_back(cell.accuracy.median);
    }
    const Spread spread = MeasureSpread(std::move(medians));
    if (spread.count < 2) continue;
    movements.push_back({group.variants[v].name, spread.max - spread.min});
  }
  return movements;
}

}  // namespace

const RunCell* FastestCell(const RunGroup& group) {
  const RunCell* best = nullptr;
  for (const RunCell& cell : group.cells) {
    if (cell.elapsed.count == 0) continue;
    if (best == nullptr || cell.elapsed.median < best->elapsed.median) {
      best = &cell;
    }
  }
  return best;
}

const RunCell* MostAccurateCell(const RunGroup& group) {
  const RunCell* best = nullptr;
  for (const RunCell& cell : group.cells) {
    if (cell.accuracy.count == 0) continue;
    if (best == nullptr || cell.accuracy.median > best->accuracy.median) {
      best = &cell;
    }
  }
  return best;
}

const RunCell* RecommendedCell(const RunGroup& group) {
  const RunCell* accurate = MostAccurateCell(group);
  if (accurate == nullptr) return nullptr;
  const double least = accurate->accuracy.median - kAccuracyMargin;
  const RunCell* best = nullptr;
  for (const RunCell& cell : group.cells) {
    if (cell.accuracy.count == 0 || cell.elapsed.count == 0) continue;
    if (cell.accuracy.median < least) continue;
    if (best == nullptr || cell.elapsed.median < best->elapsed.median) {
      best = &cell;
    }
  }
  return best;
}

double SpeedUp(const RunGroup& group, const RunCell& cell) {
  for (const RunCell& base : group.cells) {
    if (group.variants[base.variant].trainer != kSingle ||
        base.batch_size != cell.batch_size) {
      continue;
    }
    if (base.variant == cell.variant) break;
    return base.elapsed.median / cell.elapsed.median;
  }
  return RunSummary::kNone;
}

std::string CellName(const RunGroup& group, const RunCell& cell) {
  return absl::StrCat(group.variants[cell.variant].name, " at batch ",
                      cell.batch_size);
}

std::vector<Claim> GroupClaims(const RunGroup& group) {
  std::vector<Claim> claims;
  if (!group.has_done()) {
    const std::string endings = Endings(group);
    claims.push_back({"Nothing to compare", "no run is done", endings,
                      absl::StrCat("No run is done: ", endings, ".")});
    return claims;
  }
  const RunCell* fastest = FastestCell(group);
  if (fastest != nullptr) {
    claims.push_back(
        {"Fastest", CellName(group, *fastest),
         absl::StrCat(SecondsText(fastest->elapsed.median), " s"),
         absl::StrCat(CellName(group, *fastest), " is fastest: ",
                      Measured(fastest->elapsed, SecondsText, " s"),
                      AsSingle(group, *fastest), ".",
                      Overlapping(group, *fastest, Elapsed))});
  }
  const RunCell* accurate = MostAccurateCell(group);
  if (accurate == nullptr) return claims;
  claims.push_back(
      {"Most accurate", CellName(group, *accurate),
       AccuracyText(accurate->accuracy.median),
       absl::StrCat(CellName(group, *accurate), " is most accurate: ",
                    Measured(accurate->accuracy, AccuracyText, ""), ".",
                    Overlapping(group, *accurate, Accuracy))});
  const RunCell* recommended = RecommendedCell(group);
  if (recommended == nullptr) return claims;
  claims.push_back(
      {"Recommended", CellName(group, *recommended),
       absl::StrCat(SecondsText(recommended->elapsed.median), " s, ",
                    AccuracyText(recommended->accuracy.median)),
       absl::StrCat(CellName(group, *recommended),
                    " is the fastest within 1 point of the best accuracy (",
                    AccuracyText(accurate->accuracy.median),
                    "): ", SecondsText(recommended->elapsed.median),
                    " s, accuracy ", AccuracyText(recommended->accuracy.median),
                    AsSingle(group, *recommended), ".")});
  return claims;
}

std::string ElapsedClaim(const RunGroup& group) {
  const RunCell* fastest = FastestCell(group);
  if (fastest == nullptr) return "";
  return absl::StrCat(group.variants[fastest->variant].name,
                      " is fastest at batch ", fastest->batch_size, ": ",
                      SecondsText(fastest->elapsed.median), " s",
                      AsSingle(group, *fastest), ".");
}

std::string AccuracyClaim(const RunGroup& group) {
  const RunCell* accurate = MostAccurateCell(group);
  if (accurate == nullptr) return "";
  std::string text = absl::StrCat(
      group.variants[accurate->variant].name, " is most accurate at batch ",
      accurate->batch_size, ": ", AccuracyText(accurate->accuracy.median), ".");
  const std::vector<Movement> movements = Movements(group);
  if (movements.size() < 2) return text;
  const Movement* least = &movements.front();
  const Movement* most = &movements.front();
  for (const Movement& movement : movements) {
    if (movement.by < least->by) least = &movement;
    if (movement.by > most->by) most = &movement;
  }
  if (least == most) return text;  // all the same
  absl::StrAppend(&text, " Over the batch sizes, the accuracy of ", least->name,
                  " moves least (", AccuracyText(least->by), "), that of ",
                  most->name, " most (", AccuracyText(most->by), ").");
  return text;
}

}  // namespace monsoon
