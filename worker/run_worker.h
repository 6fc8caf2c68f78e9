// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/filesystem.h"
#include "base/flat.h"
#include "base/layout.h"
#include "base/trace.h"
#include "data/dataset.h"
#include "proto/monsoon.pb.h"
#include "transport/server_calls.h"
#include "worker/curve.h"
#include "worker/options.h"
#include "worker/training_loop.h"

namespace monsoon {

// What a worker is given instead of reaching for it. Everything outlives
// RunWorker.
struct WorkerEnvironment {
  Clock& clock;
  FileSystem& files;
  std::vector<ServerCalls*> servers;
  // The number of the signal that asked for an end; 0: go on.
  const std::atomic<int>& stop;
  absl::Time started;        // of the process, by `clock`
  uint64_t job_id = 0;       // random, never 0; rank 0 names the job with it
  uint64_t incarnation = 0;  // random, never 0, new for each process
  // Training data shared by the workers of this process; null: load it.
  const Dataset* train = nullptr;
  Tracer* tracer = nullptr;  // null: nobody wants to know
};

// How the whole job ended, as seen by rank 0 after all workers have.
struct JobOutcome {
  pb::JobStatus status;  // with the last report of every worker
  Options options;       // in force
  ParameterLayout layout;
  // What is evaluated and saved, each [P] and finite: the center, or the
  // replicas, whose predictions are averaged. Empty but at rank 0.
  std::vector<Flat> members;
  // The same at times of the run, as --eval-every asks for them.
  std::vector<Snapshot> snapshots;
};

// Of the initial weights of a worker of that rank: rank 0's, of the job's own
// seed, are the initial center.
uint64_t OwnSeed(uint64_t seed, int rank);

// Adds a step to a worker's report; its loss is that of the epoch alone.
void AddStep(const TrainingLoop::Step& step, bool begins_epoch,
             pb::WorkerReport& report);

// How a worker that met `status` reports its end.
pb::WorkerState StateOfEnd(const absl::Status& status);

// Takes part in a job as the worker `rank`: joins (rank 0 creates the job),
// trains, reports. Rank 0 then waits for the others and returns the outcome;
// other ranks return it without members. A training that diverged or was
// interrupted is an outcome too (WorkerReport.state says so): the status is
// for what prevents an outcome. INVALID_ARGUMENT: settings; NOT_FOUND and
// DATA_LOSS: data; the rest: the job or its servers.
absl::StatusOr<JobOutcome> RunWorker(Options options, int rank,
                                     WorkerEnvironment& environment);

}  // namespace monsoon
