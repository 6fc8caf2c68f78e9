// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "server/server.h"
#include "transport/grpc_client.h"
#include "transport/grpc_server.h"
#include "transport/threaded.h"
#include "worker/run_worker.h"

// Servers and workers of a job as objects and threads of this process.
namespace monsoon {

// Fills in --transport auto. INVALID_ARGUMENT for what is between processes
// alone.
absl::Status ResolveTransport(Options& options);

// One server of the job, and the observers' way to it: the server itself, or
// loopback.
struct HostedServer {
  std::unique_ptr<Server> server;
  std::unique_ptr<GrpcServer> listener;
  std::unique_ptr<GrpcClient> client;
  // Null where workers do the server's work themselves.
  std::unique_ptr<ThreadedCalls> threads;

  ServerCalls* calls() const {
    if (client != nullptr) return client.get();
    return server.get();
  }
  // REQUIRES: no listener, over which every worker has a client of its own.
  ServerCalls* calls_of_workers() const {
    if (threads != nullptr) return threads.get();
    return server.get();
  }
};

// Of resolved options, as all of these.
absl::StatusOr<std::vector<HostedServer>> StartServers(const Options& options,
                                                       Clock& clock);

// Runs one thread per worker to the end, with connections of its own to the
// servers, which take their place in `environment`; tells `say` in a line what
// went wrong in any but the first, whose outcome is that of the job.
absl::StatusOr<JobOutcome> RunWorkers(
    const Options& options, const std::vector<HostedServer>& servers,
    const WorkerEnvironment& environment,
    const std::function<void(const std::string& line)>& say);

}  // namespace monsoon
