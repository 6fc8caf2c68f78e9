// SPDX-License-Identifier: Apache-2.0
//
// monsoon train: servers and workers of a job as threads of this process.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/command_line.h"
#include "base/filesystem.h"
#include "base/random_id.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "cli/in_process.h"
#include "cli/run_report.h"
#include "data/dataset.h"
#include "models/model.h"
#include "watch/trace_log.h"
#include "watch/watching.h"
#include "worker/finish.h"
#include "worker/flags.h"
#include "worker/metrics_log.h"
#include "worker/run_folder.h"
#include "worker/run_worker.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon train";

absl::Status Read(int argc, const char* const* argv, Flags& flags,
                  WatchFlags& watch) {
  CLI::App app("Trains a model with servers and workers in this process.",
               kProgram);
  AddFlags(app, flags);
  AddWatchFlags(app, watch);
  RETURN_IF_ERROR(ReadFlags(app, argc, argv, RealFileSystem(), flags));
  if (!flags.help.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(ResolveTransport(flags.options));
  RETURN_IF_ERROR(ResolveOptions(flags.options));
  PrintWarnings(kProgram, flags.options);
  return absl::OkStatus();
}

absl::StatusOr<int> Train(const Flags& flags, const WatchFlags& watch,
                          absl::Time started) {
  Clock& clock = RealClock();
  FileSystem& files = RealFileSystem();
  const Options& options = flags.options;
  const std::atomic<int>& stop = CatchStopSignals();
  ASSIGN_OR_RETURN(RunFolder folder,
                   RunFolder::Plan(options, files, absl::Now(),
                                   static_cast<uint16_t>(RandomId())));
  MetricsLog metrics(folder, clock);
  ASSIGN_OR_RETURN(const auto watching, Watching::Open(watch,
                                                       {.program = kProgram,
                                                        .folder = folder.path(),
                                                        .clock = clock,
                                                        .files = files,
                                                        .keeps_folder = true},
                                                       {&metrics}));
  ASSIGN_OR_RETURN(const auto trace, OpenTrace(watch.trace, files));
  ASSIGN_OR_RETURN(const Dataset train,
                   LoadDataset(options.data, Split::kTrain, files));
  RETURN_IF_ERROR(CheckDataSize(options, train.total));
  const Shape example{train.channels, train.height, train.width};
  RETURN_IF_ERROR(CheckOneLabel(options.model, example, train.classes));
  ASSIGN_OR_RETURN(const std::vector<HostedServer> hosted,
                   StartServers(options, clock));
  std::vector<ServerCalls*> servers;
  for (const HostedServer& one : hosted) servers.push_back(one.calls());
  const WorkerEnvironment environment{.clock = clock,
                                      .files = files,
                                      .stop = stop,
                                      .started = started,
                                      .job_id = RandomId(),
                                      .train = &train,
                                      .tracer = trace.get()};
  const auto say = [&watching](const std::string& line) {
    watching->Say(absl::StrCat(kProgram, ": ", line));
  };
  watching->Start(servers, environment.job_id);
  Ending ending{.program = kProgram,
                .outcome = RunWorkers(options, hosted, environment, say),
                .options = options,
                .servers = servers,
                .json = flags.json,
                .tell = [&](const RunEnd& end) {
                  WriteRunReport(kProgram, end.folder, files);
                  watching->End(end);
                }};
  watching->Stop();
  if (trace != nullptr) WarnOfTrace(kProgram, trace->Write());
  ending.stop_signal = stop.load();
  if (ending.outcome.ok() && !metrics.status().ok()) {
    ending.outcome = metrics.status();
  }
  return Finish(ending, folder, files);
}

int RunTrain(int argc, const char* const* argv) {
  const absl::Time started = RealClock().Now();
  Flags flags;
  WatchFlags watch;
  const absl::Status read = Read(argc, argv, flags, watch);
  if (!read.ok()) return Fail(kProgram, read);
  if (!flags.help.empty()) {
    std::fputs(flags.help.c_str(), stdout);
    return 0;
  }
  const absl::StatusOr<int> code = Train(flags, watch, started);
  return code.ok() ? *code : Fail(kProgram, code.status());
}

const RegisterCommand kTrain("train",
                             {.help = "train a model, all in this process",
                              .run = RunTrain});

}  // namespace
}  // namespace monsoon
