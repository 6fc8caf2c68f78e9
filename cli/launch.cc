// SPDX-License-Identifier: Apache-2.0
//
// monsoon launch: a job as real server and worker processes on this machine.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/command_line.h"
#include "base/filesystem.h"
#include "base/random_id.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/job_arguments.h"
#include "cli/run_report.h"
#include "transport/grpc_client.h"
#include "watch/trace_log.h"
#include "watch/watching.h"
#include "worker/flags.h"
#include "worker/run_folder.h"
#include "worker/summary.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon launch";

using Json = nlohmann::ordered_json;

absl::Status Read(int argc, const char* const* argv, Flags& flags,
                  WatchFlags& watch) {
  CLI::App app(
      "The same job as `monsoon train`, with servers and workers in processes "
      "of their own on this machine.",
      kProgram);
  AddFlags(app, flags);
  AddWatchFlags(app, watch);
  RETURN_IF_ERROR(ReadFlags(app, argc, argv, RealFileSystem(), flags));
  if (!flags.help.empty()) return absl::OkStatus();
  if (flags.options.transport == "inproc") {
    return absl::InvalidArgumentError(
        "--transport inproc: the servers are other processes; use shm or grpc, "
        "or "
        "`monsoon train` for everything in one process");
  }
  RETURN_IF_ERROR(CheckServersElsewhere(flags.options));
  RETURN_IF_ERROR(ResolveOptions(flags.options));
  RETURN_IF_ERROR(CheckSeparateProcesses(flags.options));
  PrintWarnings(kProgram, flags.options);
  return absl::OkStatus();
}

// Rank 0's summary, completed with what only the parent knows; one of zeros
// when it wrote none.
Json Complete(const Options& options, const std::string& path,
              const ClusterEnd& end, absl::Time started) {
  const std::string text = RealFileSystem().Read(path).value_or("");
  Json summary = Json::parse(text, nullptr, false);
  if (!summary.is_object()) {
    JobOutcome nothing;
    nothing.options = options;
    if (options.transport == "auto") nothing.options.transport = "shm";
    summary = Summarize({.outcome = nothing,
                         .state = end.exit_code > 128 ? RunState::kInterrupted
                                                      : RunState::kFailed});
  }
  // The kernel's number for every process, the parent's own included.
  summary["peak_rss_bytes"] = end.peak_rss_bytes;
  if (summary["startup_s"].is_number() && summary["startup_s"] > 0) {
    summary["startup_s"] = summary["startup_s"].get<double>() +
                           absl::ToDoubleSeconds(end.workers_started - started);
  }
  // Rank 0 was told to stop, and does not know that it was for a failure.
  if (end.exit_code == 1 && summary["status"] != "diverged") {
    summary["status"] = StateName(RunState::kFailed);
  }
  return summary;
}

// The job is watched while the workers run.
absl::StatusOr<ClusterEnd> RunCluster(Cluster& cluster, Watching& watching,
                                      Clock& clock) {
  ASSIGN_OR_RETURN(const bool running, cluster.Start());
  if (!running) return cluster.Finish();
  std::vector<std::unique_ptr<GrpcClient>> clients;
  std::vector<ServerCalls*> servers;
  for (const std::string& address : cluster.addresses()) {
    ASSIGN_OR_RETURN(clients.emplace_back(),
                     GrpcClient::Create(address, clock));
    servers.push_back(clients.back().get());
  }
  watching.Start(servers, /*job_id=*/0);
  cluster.AwaitWorkers();
  watching.Stop();
  return cluster.Finish();
}

void MergeTraces(const ClusterPlan& plan, TraceLog& trace) {
  std::vector<std::string> parts;
  for (int rank = 0; rank < plan.workers; ++rank) {
    parts.push_back(TraceOf(plan.folder, rank));
  }
  WarnOfTrace(kProgram, trace.Merge(parts));
}

int Launch(const Flags& flags, const WatchFlags& watch, absl::Time started) {
  Clock& clock = RealClock();
  FileSystem& files = RealFileSystem();
  const std::atomic<int>& stop = CatchStopSignals();
  const auto folder = RunFolder::Plan(flags.options, files, absl::Now(),
                                      static_cast<uint16_t>(RandomId()));
  if (!folder.ok()) return Fail(kProgram, folder.status());
  const ClusterPlan plan = {.servers = flags.options.servers,
                            .workers = flags.options.workers,
                            .worker_arguments = JobArguments(flags.options),
                            .binaries = BinaryFolder(),
                            .folder = folder->path(),
                            .trace = !watch.trace.empty()};
  const auto watching = Watching::Open(watch, {.program = kProgram,
                                               .folder = folder->path(),
                                               .clock = clock,
                                               .files = files});
  if (!watching.ok()) return Fail(kProgram, watching.status());
  const auto trace = OpenTrace(watch.trace, files);
  if (!trace.ok()) return Fail(kProgram, trace.status());
  Cluster cluster(plan, clock, files, stop);
  const auto end = RunCluster(cluster, **watching, clock);
  if (*trace != nullptr) MergeTraces(plan, **trace);
  if (!end.ok()) return Fail(kProgram, end.status());
  if (!end->cause.empty()) {
    std::fprintf(stderr, "%s: error: %s", kProgram, end->cause.c_str());
  }
  // Wrong settings or data: nothing has run.
  if (end->exit_code == 2 || end->exit_code == 3) return end->exit_code;
  const std::string path = JoinPath(folder->path(), "summary.json");
  const Json summary = Complete(flags.options, path, *end, started);
  const absl::Status written = files.Write(path, summary.dump() + "\n");
  if (!written.ok()) Fail(kProgram, written);
  WriteRunReport(kProgram, folder->path(), files);
  (*watching)->End({.summary = summary, .folder = folder->path()});
  std::FILE* const people = flags.json ? stderr : stdout;
  std::fprintf(people, "%s\nrun folder: %s\n", DescribeSummary(summary).c_str(),
               folder->path().c_str());
  if (flags.json) std::printf("%s\n", summary.dump().c_str());
  return end->exit_code;
}

int RunLaunch(int argc, const char* const* argv) {
  const absl::Time started = RealClock().Now();
  Flags flags;
  WatchFlags watch;
  const absl::Status status = Read(argc, argv, flags, watch);
  if (!status.ok()) return Fail(kProgram, status);
  if (!flags.help.empty()) {
    std::fputs(flags.help.c_str(), stdout);
    return 0;
  }
  return Launch(flags, watch, started);
}

const RegisterCommand kLaunch(
    "launch", {.help = "the same job as real server and worker processes here",
               .run = RunLaunch});

}  // namespace
}  // namespace monsoon
