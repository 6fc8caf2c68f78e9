// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/filesystem.h"
#include "cli/check.h"

// What `monsoon doctor` says of the machine that it runs on.
namespace monsoon {

// What no file says.
struct Readings {
  // Processor features, by their names in /proc/cpuinfo, that this build uses
  // without asking whether they are there.
  std::vector<std::string> needed_features;
  // Of sharing memory with another process, as exchanges of one host do.
  absl::Status shared_memory;
  absl::Time wall_clock;
  absl::Duration clock_resolution;  // of the clock that measures
};
Readings TakeReadings();

Checks CheckProcessor(FileSystem& files, const Readings& readings);
Checks CheckMemory(FileSystem& files, const Readings& readings);
// Open files and threads.
Checks CheckLimits(FileSystem& files);
Checks CheckClock(const Readings& readings);
// `cuda` is what this program was built with ("none"), `devices` how many GPUs
// it can use.
Checks CheckGpu(FileSystem& files, const std::string& cuda, int devices);

}  // namespace monsoon
