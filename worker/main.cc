// SPDX-License-Identifier: Apache-2.0
//
// monsoon-worker: one worker of a job on servers that run already.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/command_line.h"
#include "base/filesystem.h"
#include "base/random_id.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "transport/grpc_client.h"
#include "transport/grpc_settings.h"
#include "transport/shm_client.h"
#include "watch/trace_log.h"
#include "watch/watching.h"
#include "worker/finish.h"
#include "worker/flags.h"
#include "worker/metrics_log.h"
#include "worker/run_folder.h"
#include "worker/run_worker.h"
#include "worker/summary.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon-worker";

struct Arguments {
  Flags flags;
  WatchFlags watch;
  std::vector<std::string> addresses;
  int rank = 0;
};

// A later rank learns what it was not told from the job, so only what it was
// told can be checked before that is there.
absl::Status Check(int rank, Options& options) {
  if (rank == 0) {
    RETURN_IF_ERROR(ResolveOptions(options));
    PrintWarnings(kProgram, options);
    return CheckSeparateProcesses(options);
  }
  Options told = options;
  if (!told.given.contains("trainer")) told.set.clear();
  return ResolveOptions(told);
}

absl::Status Read(int argc, const char* const* argv, Arguments& arguments) {
  CLI::App app("One worker of a job on servers that run already.", kProgram);
  std::string servers;
  std::string rank;
  app.add_option("--servers", servers,
                 "where the servers listen, in the same "
                 "order for every worker")
      ->type_name("HOST:PORT,...")
      ->required();
  app.add_option("--rank", rank,
                 "0 to workers - 1; rank 0 brings the job, the others learn "
                 "what they are not told")
      ->type_name("R")
      ->required();
  Flags& flags = arguments.flags;
  AddFlags(app, flags, {"servers"});
  AddWatchFlags(app, arguments.watch);
  RETURN_IF_ERROR(ReadFlags(app, argc, argv, RealFileSystem(), flags));
  if (!flags.help.empty()) return absl::OkStatus();
  if (!absl::SimpleAtoi(rank, &arguments.rank) || arguments.rank < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--rank: found \"", rank, "\", expected a whole number, at least 0"));
  }
  if (flags.options.given.contains("workers") &&
      arguments.rank >= flags.options.workers) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--rank ", rank, ": expected 0 to ", flags.options.workers - 1,
        " with --workers ", flags.options.workers));
  }
  arguments.addresses = absl::StrSplit(servers, ',');
  Options& options = flags.options;
  options.servers = static_cast<int>(arguments.addresses.size());
  if (options.transport == "inproc") {
    return absl::InvalidArgumentError(
        "--transport inproc: the servers are other processes; use shm or grpc, "
        "or "
        "`monsoon train` for everything in one process");
  }
  RETURN_IF_ERROR(CheckServersElsewhere(options));
  return Check(arguments.rank, options);
}

// A server and the ways to it.
struct Client {
  std::unique_ptr<GrpcClient> grpc;
  std::unique_ptr<ShmClient> shm;  // null: was not asked for

  ServerCalls* calls() const {
    if (shm != nullptr) return shm.get();
    return grpc.get();
  }
};
using Clients = std::vector<Client>;

// How exchanges go, of "shm" and "grpc".
std::string TransportOf(const Clients& clients) {
  const bool shares =
      std::all_of(clients.begin(), clients.end(), [](const Client& client) {
        return client.shm != nullptr && client.shm->shares_memory();
      });
  return shares ? "shm" : "grpc";
}

absl::StatusOr<Clients> Connect(const Arguments& arguments,
                                const std::atomic<int>& stop, Clock& clock) {
  Clients clients;
  const std::string& transport = arguments.flags.options.transport;
  for (const std::string& address : arguments.addresses) {
    auto client = GrpcClient::Create(address, clock);
    if (!client.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--servers: ", client.status().message()));
    }
    clients.push_back({.grpc = *std::move(client)});
    if (transport == "grpc") continue;
    clients.back().shm = std::make_unique<ShmClient>(
        *clients.back().grpc, /*is_required=*/transport == "shm");
  }
  const absl::Time deadline =
      clock.Now() + arguments.flags.options.connect_timeout;
  for (const Client& client : clients) {
    RETURN_IF_ERROR(client.grpc->WaitConnected(
        deadline, [&stop] { return stop.load() != 0; }));
  }
  return clients;
}

// The first rank's process tells how the job ended; the others' only how they
// did.
int EndOfOther(const absl::StatusOr<JobOutcome>& outcome, int stop_signal) {
  if (!outcome.ok()) {
    return FailOrStop(kProgram, outcome.status(), stop_signal);
  }
  const pb::JobStatus& status = outcome->status;
  if (status.stop_state() == pb::RUNNING) return 0;
  std::fprintf(stderr, "%s: %s\n", kProgram, status.stop().c_str());
  return stop_signal != 0 ? 128 + stop_signal : 1;
}

// What rank 0 has beside the others: it keeps the run's folder.
struct First {
  RunFolder folder;
  MetricsLog metrics;
  std::unique_ptr<Watching> watching;

  First(RunFolder planned, Clock& clock)
      : folder(std::move(planned)), metrics(folder, clock) {}
};

absl::StatusOr<std::unique_ptr<First>> PlanFirst(const Arguments& arguments,
                                                 Clock& clock,
                                                 FileSystem& files) {
  ASSIGN_OR_RETURN(RunFolder folder,
                   RunFolder::Plan(arguments.flags.options, files, absl::Now(),
                                   static_cast<uint16_t>(RandomId())));
  auto first = std::make_unique<First>(std::move(folder), clock);
  const WatchPlace place{.program = kProgram,
                         .folder = first->folder.path(),
                         .clock = clock,
                         .files = files,
                         .keeps_folder = true};
  ASSIGN_OR_RETURN(first->watching,
                   Watching::Open(arguments.watch, place, {&first->metrics}));
  return first;
}

void WriteTrace(TraceLog* trace) {
  if (trace != nullptr) WarnOfTrace(kProgram, trace->Write());
}

int RunFirst(const Arguments& arguments, const Clients& clients,
             WorkerEnvironment& environment, First& first, TraceLog* trace) {
  first.watching->Start(environment.servers, environment.job_id);
  const Options& options = arguments.flags.options;
  Ending ending{.program = kProgram,
                .outcome = RunWorker(options, 0, environment),
                .options = options,
                .servers = environment.servers,
                .json = arguments.flags.json,
                .tell = [&](const RunEnd& end) { first.watching->End(end); }};
  first.watching->Stop();
  WriteTrace(trace);
  if (ending.outcome.ok()) {
    ending.outcome->options.transport = TransportOf(clients);
  }
  ending.stop_signal = environment.stop.load();
  if (ending.outcome.ok() && !first.metrics.status().ok()) {
    ending.outcome = first.metrics.status();
  }
  return Finish(ending, first.folder, environment.files);
}

int Run(const Arguments& arguments, absl::Time started) {
  Clock& clock = RealClock();
  FileSystem& files = RealFileSystem();
  const std::atomic<int>& stop = CatchStopSignals();
  const auto trace = OpenTrace(arguments.watch.trace, files);
  if (!trace.ok()) return Fail(kProgram, trace.status());
  std::unique_ptr<First> first;
  if (arguments.rank == 0) {
    auto planned = PlanFirst(arguments, clock, files);
    if (!planned.ok()) return Fail(kProgram, planned.status());
    first = *std::move(planned);
  }
  const auto clients = Connect(arguments, stop, clock);
  if (!clients.ok()) return FailOrStop(kProgram, clients.status(), stop.load());
  WorkerEnvironment environment{.clock = clock,
                                .files = files,
                                .stop = stop,
                                .started = started,
                                .job_id = RandomId(),
                                .incarnation = RandomId(),
                                .tracer = trace->get()};
  for (const Client& client : *clients) {
    environment.servers.push_back(client.calls());
  }
  if (arguments.rank != 0 && !arguments.watch.http.empty()) {
    std::fprintf(stderr,
                 "%s: --http: rank 0 serves the page of the job, this is rank "
                 "%d, which serves none\n",
                 kProgram, arguments.rank);
  }
  if (arguments.rank != 0 && !arguments.watch.mlflow.empty()) {
    std::fprintf(stderr,
                 "%s: --mlflow: rank 0 tracks the job, this is rank %d, which "
                 "tracks nothing\n",
                 kProgram, arguments.rank);
  }
  if (first != nullptr) {
    return RunFirst(arguments, *clients, environment, *first, trace->get());
  }
  const auto outcome =
      RunWorker(arguments.flags.options, arguments.rank, environment);
  WriteTrace(trace->get());
  return EndOfOther(outcome, stop.load());
}

}  // namespace
}  // namespace monsoon

int main(int argc, char** argv) {
  monsoon::PrepareGrpc();
  const absl::Time started = monsoon::RealClock().Now();
  monsoon::Arguments arguments;
  const absl::Status status = monsoon::Read(argc, argv, arguments);
  if (!status.ok()) return monsoon::Fail(monsoon::kProgram, status);
  if (!arguments.flags.help.empty()) {
    std::fputs(arguments.flags.help.c_str(), stdout);
    return 0;
  }
  return monsoon::Run(arguments, started);
}
