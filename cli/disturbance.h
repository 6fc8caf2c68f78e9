// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "base/filesystem.h"
#include "report/bench_row.h"

namespace monsoon {

// What the processors have done since the machine was started, in seconds, over
// the cores that this process may use.
struct ProcessorTimes {
  double busy_s = 0;   // of all processes, and of the kernel for them
  double steal_s = 0;  // a core was wanted, and another machine had it
  int cores = 0;
};

// Reads the text of /proc/stat, whose times are `ticks` a second. Nothing where
// it has none of the `cores`.
std::optional<ProcessorTimes> ParseProcessorTimes(absl::string_view text,
                                                  const std::set<int>& cores,
                                                  double ticks);
// Now; nothing where the system does not say.
std::optional<ProcessorTimes> ReadProcessorTimes(FileSystem& files);

// The cores that this process may use, which a container can make fewer; empty
// where the system does not say.
std::set<int> AllowedCores();

// How much of the machine something else had while a run was made.
struct Disturbance {
  // Above this, or kMostStolen, a run is marked: one other busy process on
  // fewer than ten cores is enough.
  static constexpr double kMostOthers = 0.10;  // part of the cores' time

  double other_load = 0;  // in cores: 0.43 is 43 % of one
  double steal = 0;       // part of the cores' time
  int cores = 1;

  bool is_disturbed() const {
    return other_load > kMostOthers * cores || steal > kMostStolen;
  }
};

// "other processes used 0.43 of a core"; behind a comma, where that is too
// much, "3.1 % of the processors' time was stolen".
std::string DisturbanceText(double other_load, double steal);

// What lies between two readings `wall_s` seconds apart, in which a run and
// its supervisor used `own_s` seconds of the processors. Nothing where either
// is missing, or no time has passed.
std::optional<Disturbance> MeasureDisturbance(
    const std::optional<ProcessorTimes>& before,
    const std::optional<ProcessorTimes>& after, double own_s, double wall_s);

}  // namespace monsoon
