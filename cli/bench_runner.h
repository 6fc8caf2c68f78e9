// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
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
// runs/ of the bench. Returns its summary as one line, to which "wall_s",
// "load_before", and where the system says so "other_load", "steal" and
// "disturbed" are added (cli/disturbance.h); a process that left none gets one
// with the status "failed". A child that owns the terminal draws `footer`
// beneath its own progress. INVALID_ARGUMENT, NOT_FOUND: settings or data are
// wrong, for this run as for all. CANCELLED: a signal came; the child has ended
// then, and the run is to be done again.
absl::StatusOr<std::string> MakeRun(const BenchRunner& runner,
                                    const BenchRun& run,
                                    absl::string_view footer);

// The same for a run that has a folder and a result already. Both stay as they
// are, and the line is empty, where the new run is not done.
absl::StatusOr<std::string> MakeRunAgain(const BenchRunner& runner,
                                         const BenchRun& run,
                                         absl::string_view footer);

// Makes a part of the run, a few seconds, of which nothing is kept: programs,
// libraries and data are in memory afterwards, and the processor has its pace.
// Errors as above; that the child failed is none.
absl::Status WarmUp(const BenchRunner& runner, const BenchRun& run);

}  // namespace monsoon
