// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/filesystem.h"
#include "transport/server_calls.h"
#include "watch/observer.h"
#include "worker/run_folder.h"
#include "worker/run_worker.h"

namespace monsoon {

// What the process of rank 0 has when the job is over.
struct Ending {
  std::string program;  // "monsoon train", in front of errors
  absl::StatusOr<JobOutcome> outcome;
  Options options;  // resolved; stand in when there is no outcome
  std::vector<ServerCalls*> servers;
  int stop_signal = 0;  // that this process got
  bool json = false;
  // Is told of the result before it is printed; may be empty.
  std::function<void(const RunEnd&)> tell;
};

// Says what prevented an outcome; returns the exit code, which is 128 + signal
// where a signal did.
int FailOrStop(const std::string& program, const absl::Status& status,
               int stop_signal);

// Evaluates the result outside the clock, writes model and summary into the
// folder, and prints: the summary on stdout (with `json` as its last line, for
// every ending of a job that began), what went wrong on stderr. Returns the
// exit code: 0 done, 1 failed or diverged, 128 + signal when interrupted, and
// what ExitCode says for wrong settings or data.
int Finish(const Ending& ending, RunFolder& folder, FileSystem& files);

}  // namespace monsoon
