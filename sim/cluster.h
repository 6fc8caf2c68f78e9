// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "sim/spec.h"
#include "sim/virtual_clock.h"
#include "transport/server_calls.h"
#include "worker/run_worker.h"

namespace monsoon {

// What stands between the simulated network and what it joins, for tests; what
// is returned outlives the simulation, and nothing is called after it. Any may
// be empty.
struct SimulationSeams {
  // In front of a real server.
  std::function<ServerCalls&(int server, ServerCalls& next,
                             VirtualClock& clock)>
      server;
  // Between a worker and the network to a server.
  std::function<ServerCalls&(int worker, int server, ServerCalls& next,
                             VirtualClock& clock)>
      worker;
  // When all has happened, while the servers are still there.
  std::function<void()> at_end;
};

struct SimulationInputs {
  const Options& options;  // resolved; threads, transport, overlap have no say
  const SimulationSpec& spec;
  const Dataset& train;
  const Dataset* test = nullptr;  // for the curve; null: there is none
  const std::atomic<int>& stop;   // as WorkerEnvironment::stop
  SimulationSeams seams = {};
};

// What was busy of the time of a run, from 0 to 1: over several of a kind.
struct Utilization {
  double mean = 0;
  double max = 0;
};

// What has come of a simulated job; all of it follows from the inputs alone.
struct Simulation {
  JobOutcome outcome;                        // as rank 0's of a real job
  std::vector<pb::JobStatus> other_servers;  // at the end, beside the first
  // From the start of the first process to the end of the last.
  double virtual_s = 0;
  // Of all that were consumed, which the reports count: those that the center
  // has, those that servers refused, and those that went with a process.
  int64_t samples_applied = 0;
  int64_t samples_refused = 0;
  int64_t samples_lost = 0;
  int64_t crashes = 0;
  Utilization computing;  // workers
  Utilization worker_out, worker_in, server_out, server_in, server_core;
  std::vector<CurvePoint> curve;
};

// Runs a job of the real servers, trainers, links and training loop on a
// simulated cluster, to its end. A training that diverged or failed is an
// outcome too. INVALID_ARGUMENT: settings or data that do not fit each other.
absl::StatusOr<Simulation> Simulate(const SimulationInputs& inputs);

}  // namespace monsoon
