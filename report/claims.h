// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "report/cells.h"
#include "report/report.h"

namespace monsoon {

// An accuracy within so much of the best one is as good for choosing a trainer.
// (A hair more, so that exactly so much, written in decimals, counts.)
inline constexpr double kAccuracyMargin = 0.01 + 1e-9;

// Of the cells with a run that is done: the shortest elapsed time; the highest
// accuracy; the shortest elapsed time within kAccuracyMargin of that. Medians;
// the first one of equals; null when there is none.
const RunCell* FastestCell(const RunGroup& group);
const RunCell* MostAccurateCell(const RunGroup& group);
const RunCell* RecommendedCell(const RunGroup& group);

// How many times as fast as the first variant of `single` with the same batch
// size; NaN when there is none, or it is that.
double SpeedUp(const RunGroup& group, const RunCell& cell);

// "adag at batch 128"
std::string CellName(const RunGroup& group, const RunCell& cell);

// Fastest, most accurate, recommended, in words; those that there are. Where no
// run is done, one that says how they ended.
std::vector<Claim> GroupClaims(const RunGroup& group);

// What the charts of elapsed time and accuracy show, each a sentence or two; ""
// where no run that is done has the number.
std::string ElapsedClaim(const RunGroup& group);
std::string AccuracyClaim(const RunGroup& group);

}  // namespace monsoon
