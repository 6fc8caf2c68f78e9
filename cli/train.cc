// SPDX-License-Identifier: Apache-2.0
//
// monsoon train: servers and workers of a job as threads of this process.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/command_line.h"
#include "base/filesystem.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "data/dataset.h"
#include "models/model.h"
#include "server/server.h"
#include "transport/grpc_client.h"
#include "transport/grpc_server.h"
#include "worker/finish.h"
#include "worker/flags.h"
#include "worker/progress.h"
#include "worker/random_id.h"
#include "worker/run_folder.h"
#include "worker/run_worker.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon train";

// One server of the job, and the way to it: the server itself, or loopback.
struct Hosted {
  std::unique_ptr<Server> server;
  std::unique_ptr<GrpcServer> listener;
  std::unique_ptr<GrpcClient> client;

  ServerCalls* calls() const {
    if (client != nullptr) return client.get();
    return server.get();
  }
};

absl::StatusOr<std::vector<Hosted>> StartServers(const Options& options,
                                                 Clock& clock) {
  std::vector<Hosted> hosted(static_cast<size_t>(options.servers));
  for (Hosted& one : hosted) {
    one.server = std::make_unique<Server>(clock);
    if (options.transport != "grpc") continue;
    ASSIGN_OR_RETURN(one.listener,
                     GrpcServer::Start(*one.server, "127.0.0.1:0"));
    ASSIGN_OR_RETURN(
        one.client,
        GrpcClient::Create(absl::StrCat("127.0.0.1:", one.listener->port()),
                           clock));
    RETURN_IF_ERROR(
        one.client->WaitConnected(clock.Now() + options.connect_timeout));
  }
  return hosted;
}

absl::Status Read(int argc, const char* const* argv, Flags& flags) {
  CLI::App app("Trains a model with servers and workers in this process.",
               kProgram);
  AddFlags(app, flags);
  RETURN_IF_ERROR(ReadFlags(app, argc, argv, RealFileSystem(), flags));
  if (!flags.help.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(ResolveOptions(flags.options));
  if (flags.options.transport == "auto") flags.options.transport = "inproc";
  return absl::OkStatus();
}

// Runs one thread per worker to the end; says what went wrong in any but the
// first, whose outcome is that of the job.
absl::StatusOr<JobOutcome> RunWorkers(const Options& options,
                                      const WorkerEnvironment& environment) {
  const auto workers = static_cast<size_t>(options.workers);
  std::vector<absl::StatusOr<JobOutcome>> outcomes(workers);
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < workers; ++rank) {
    threads.emplace_back([&, rank] {
      WorkerEnvironment own = environment;
      own.incarnation = RandomId();
      outcomes[rank] = RunWorker(options, static_cast<int>(rank), own);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t rank = 1; rank < workers; ++rank) {
    // What is wrong for all is said once.
    if (outcomes[rank].status() == outcomes[0].status()) continue;
    if (outcomes[rank].ok()) continue;
    Fail(absl::StrCat(kProgram, ": worker ", rank), outcomes[rank].status());
  }
  return std::move(outcomes[0]);
}

absl::StatusOr<int> Train(const Flags& flags, absl::Time started) {
  Clock& clock = RealClock();
  FileSystem& files = RealFileSystem();
  const Options& options = flags.options;
  const std::atomic<int>& stop = CatchStopSignals();
  ASSIGN_OR_RETURN(RunFolder folder,
                   RunFolder::Plan(options, files, absl::Now(),
                                   static_cast<uint16_t>(RandomId())));
  ASSIGN_OR_RETURN(const Dataset train,
                   LoadDataset(options.data, Split::kTrain, files));
  RETURN_IF_ERROR(CheckDataSize(options, train.total));
  const Shape example{train.channels, train.height, train.width};
  RETURN_IF_ERROR(LayoutOf(options.model, example, train.classes).status());
  ASSIGN_OR_RETURN(const std::vector<Hosted> hosted,
                   StartServers(options, clock));
  std::vector<ServerCalls*> servers;
  for (const Hosted& one : hosted) servers.push_back(one.calls());
  const WorkerEnvironment environment{.clock = clock,
                                      .files = files,
                                      .servers = servers,
                                      .stop = stop,
                                      .started = started,
                                      .job_id = RandomId(),
                                      .train = &train};
  absl::Status metrics;
  Progress progress(*servers[0], environment.job_id, clock, StderrStyle(),
                    [&](const ProgressSample& sample) {
                      metrics.Update(folder.AddMetrics(sample));
                    });
  Ending ending{.program = kProgram,
                .outcome = RunWorkers(options, environment),
                .options = options,
                .servers = servers,
                .json = flags.json};
  progress.Stop();
  ending.stop_signal = stop.load();
  if (ending.outcome.ok() && !metrics.ok()) ending.outcome = metrics;
  return Finish(ending, folder, files);
}

int RunTrain(int argc, const char* const* argv) {
  const absl::Time started = RealClock().Now();
  Flags flags;
  const absl::Status read = Read(argc, argv, flags);
  if (!read.ok()) return Fail(kProgram, read);
  if (!flags.help.empty()) {
    std::fputs(flags.help.c_str(), stdout);
    return 0;
  }
  const absl::StatusOr<int> code = Train(flags, started);
  return code.ok() ? *code : Fail(kProgram, code.status());
}

const RegisterCommand kTrain("train",
                             {.help = "train a model, all in this process",
                              .run = RunTrain});

}  // namespace
}  // namespace monsoon
