// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "report/run_summary.h"

namespace monsoon {

// A run that is done, of mlp on fashion-mnist for one epoch: one worker of
// `single`, two of the others.
inline RunSummary SomeRun(const std::string& trainer, int batch_size,
                          uint64_t seed, double elapsed_s, double test_acc) {
  RunSummary run;
  run.trainer = trainer;
  run.model = "mlp";
  run.data = "fashion-mnist";
  run.transport = "inproc";
  run.status = "done";
  run.batch_size = batch_size;
  run.workers = trainer == "single" ? 1 : 2;
  run.servers = 1;
  run.epochs = 1;
  run.seed = seed;
  run.samples = 60000;
  run.elapsed_s = elapsed_s;
  run.samples_per_s = 60000 / elapsed_s;
  run.bytes_up = run.bytes_down = 5e6;
  run.test_acc = test_acc;
  run.settings = {{"workers", trainer == "single" ? "1" : "2"},
                  {"wire", "fp32"}};
  run.is_bench = true;
  run.folder = "bench/first";
  return run;
}

// The same, which ended otherwise.
inline RunSummary Ended(RunSummary run, const std::string& status) {
  run.status = status;
  run.elapsed_s = run.samples_per_s = run.test_acc = RunSummary::kNone;
  return run;
}

// Two trainers x two batch sizes, with three, two or one run that is done.
inline std::vector<RunSummary> SomeRuns() {
  return {SomeRun("single", 32, 1, 8.0, 0.850),
          SomeRun("single", 32, 2, 9.0, 0.860),
          SomeRun("single", 32, 3, 10.0, 0.855),
          SomeRun("single", 128, 1, 6.0, 0.840),
          SomeRun("single", 128, 2, 8.0, 0.830),
          Ended(SomeRun("single", 128, 3, 0, 0), "failed"),
          SomeRun("adag", 32, 1, 5.0, 0.846),
          SomeRun("adag", 32, 2, 5.5, 0.845),
          SomeRun("adag", 32, 3, 4.5, 0.847),
          SomeRun("adag", 128, 1, 3.5, 0.81),
          Ended(SomeRun("adag", 128, 2, 0, 0), "diverged"),
          Ended(SomeRun("adag", 128, 3, 0, 0), "diverged")};
}

}  // namespace monsoon
