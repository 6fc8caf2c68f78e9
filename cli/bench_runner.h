// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/filesystem.h"
#include "cli/bench_plan.h"

namespace monsoon {

// How the runs of a bench are made.
struct BenchRunner {
  Clock& clock;
  FileSystem& files;
  const std::atomic<int>& stop;  // the signal that asks for an end; 0: none
  std::string program;           // the path of `monsoon`
  std::string folder;            // of the bench
  // The child writes to this process's stderr, so that its progress is seen
  // live; else into its log.
  bool shows_progress = false;
};

// Makes one run in a process of its own: `monsoon train`, with its folder in
// runs/ of the bench. Returns its summary as one line; a process that left none
// gets one with the status "failed". INVALID_ARGUMENT, NOT_FOUND: settings or
// data are wrong, for this run as for all. CANCELLED: a signal came; the child
// has ended then, and the run is to be done again.
absl::StatusOr<std::string> MakeRun(const BenchRunner& runner,
                                    const BenchRun& run);

}  // namespace monsoon
