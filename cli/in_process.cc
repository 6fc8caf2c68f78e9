// SPDX-License-Identifier: Apache-2.0
#include "cli/in_process.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/random_id.h"
#include "base/status_macros.h"
#include "worker/compute_device.h"

namespace monsoon {
namespace {

absl::StatusOr<std::unique_ptr<GrpcClient>> Connect(const GrpcServer& listener,
                                                    Clock& clock) {
  return GrpcClient::Create(absl::StrCat("127.0.0.1:", listener.port()), clock);
}

// Of each server in the memory of workers who compute on GPUs: those workers
// leave cores idle, and move values while threads work on what came. 0: the
// workers do it.
int ServerThreads(const Options& options) {
  if (options.device == "cpu" || options.server_device != "cpu") return 0;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::max(0, cores - options.workers) / options.servers;
}

absl::StatusOr<JobOutcome> RunOne(const Options& options, int rank,
                                  const std::vector<HostedServer>& servers,
                                  WorkerEnvironment environment) {
  environment.incarnation = RandomId();
  environment.servers.clear();
  std::vector<std::unique_ptr<GrpcClient>> clients;
  for (const HostedServer& one : servers) {
    if (one.listener == nullptr) {
      environment.servers.push_back(one.calls_of_workers());
      continue;
    }
    ASSIGN_OR_RETURN(auto client, Connect(*one.listener, environment.clock));
    clients.push_back(std::move(client));
    environment.servers.push_back(clients.back().get());
  }
  return RunWorker(options, rank, environment);
}

}  // namespace

absl::Status ResolveTransport(Options& options) {
  if (options.transport == "auto") options.transport = "inproc";
  if (options.transport != "shm") return absl::OkStatus();
  return absl::InvalidArgumentError(
      "--transport shm: shares memory between processes, here is one alone; "
      "use inproc, or `monsoon launch`");
}

absl::StatusOr<std::vector<HostedServer>> StartServers(const Options& options,
                                                       Clock& clock) {
  std::vector<HostedServer> hosted(static_cast<size_t>(options.servers));
  for (size_t i = 0; i < hosted.size(); ++i) {
    HostedServer& one = hosted[i];
    ServerOptions settings;
    if (options.server_device != "cpu") {
      settings.open_device = [device = options.server_device, i] {
        return OpenDevice(device, static_cast<int>(i));
      };
    }
    one.server = std::make_unique<Server>(clock, std::move(settings));
    if (options.transport != "grpc") {
      const int threads = ServerThreads(options);
      if (threads == 0) continue;
      one.threads =
          std::make_unique<ThreadedCalls>(*one.server, threads, clock);
      continue;
    }
    ASSIGN_OR_RETURN(one.listener,
                     GrpcServer::Start(*one.server, "127.0.0.1:0"));
    ASSIGN_OR_RETURN(one.client, Connect(*one.listener, clock));
    RETURN_IF_ERROR(
        one.client->WaitConnected(clock.Now() + options.connect_timeout));
  }
  return hosted;
}

absl::StatusOr<JobOutcome> RunWorkers(
    const Options& options, const std::vector<HostedServer>& servers,
    const WorkerEnvironment& environment,
    const std::function<void(const std::string& line)>& say) {
  const auto workers = static_cast<size_t>(options.workers);
  std::vector<absl::StatusOr<JobOutcome>> outcomes(workers);
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < workers; ++rank) {
    threads.emplace_back([&, rank] {
      outcomes[rank] =
          RunOne(options, static_cast<int>(rank), servers, environment);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t rank = 1; rank < workers; ++rank) {
    // What is wrong for all is said once.
    if (outcomes[rank].status() == outcomes[0].status()) continue;
    if (outcomes[rank].ok()) continue;
    say(absl::StrCat("worker ", rank,
                     ": error: ", outcomes[rank].status().message()));
  }
  return std::move(outcomes[0]);
}

}  // namespace monsoon
