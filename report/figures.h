// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "report/cells.h"
#include "report/reach.h"
#include "report/report.h"

namespace monsoon {

// Colour and marker of each name, in the order in which they are first asked
// for. Not thread-safe.
class Styles {
 public:
  int Of(const std::string& name);

 private:
  std::vector<std::string> names_;
};

// What the charts of one group are made from.
struct FigureInputs {
  absl::Span<const RunSummary> runs;  // of all groups
  const RunGroup& group;
  std::string id;  // in front of the figures' own
  Styles& styles;
};

// Each of these is one chart of a group; empty when there are no data for it.

// Median elapsed seconds of the runs that are done, by variant x batch size.
std::optional<Figure> ElapsedFigure(const FigureInputs& inputs);
// Median accuracy on the test data, likewise.
std::optional<Figure> AccuracyFigure(const FigureInputs& inputs);
// Accuracy against what it takes: a curve per run, or a point where it has
// none.
std::optional<Figure> ReachFigure(const FigureInputs& inputs,
                                  const Effort& effort);
// Training loss against wall time, of run folders.
std::optional<Figure> LossFigure(const FigureInputs& inputs);
// Share of the pushes by staleness, a histogram per variant.
std::optional<Figure> StalenessFigure(const FigureInputs& inputs);
// Samples per second by workers, where a variant has several numbers of them.
std::optional<Figure> ScalingFigure(const FigureInputs& inputs);
// Median seconds to a test accuracy, of the runs with a curve.
std::optional<Figure> TimeToFigure(const FigureInputs& inputs, double accuracy);

}  // namespace monsoon
