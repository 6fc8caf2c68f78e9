// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_runner.h"

#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/bell.h"
#include "cli/job_arguments.h"
#include "cli/process.h"
#include "report/bench_row.h"
#include "worker/summary.h"

namespace monsoon {
namespace {

// How soon a signal is seen; the end of the child rings a bell.
constexpr absl::Duration kLook = absl::Milliseconds(50);
// After a signal: time to write a large model.
constexpr absl::Duration kGrace = absl::Seconds(30);
constexpr int kLogLines = 10;

// The flags of the run whose folder is `folder`.
std::vector<std::string> Arguments(const BenchRunner& runner,
                                   const BenchRun& run,
                                   const std::string& folder) {
  std::vector<std::string> arguments = {runner.program, "train"};
  for (std::string& flag : JobArguments(run.options)) {
    arguments.push_back(std::move(flag));
  }
  arguments.push_back(absl::StrCat("--servers=", run.options.servers));
  arguments.push_back("--out=" + folder);
  return arguments;
}

// Waits for the end of the child; after a signal it gets that, and some time.
absl::StatusOr<ProcessExit> RunChild(const BenchRunner& runner,
                                     const Process::Command& command) {
  Bell bell(runner.clock);  // outlives the process, which rings it
  ASSIGN_OR_RETURN(const std::unique_ptr<Process> process,
                   Process::Start(command, [&bell] { bell.Ring(); }));
  absl::Time kill = absl::InfiniteFuture();
  while (!process->exit().has_value()) {
    const absl::Time now = runner.clock.Now();
    if (runner.stop.load() != 0 && kill == absl::InfiniteFuture()) {
      process->Signal(runner.stop.load());
      kill = now + kGrace;
    }
    if (now >= kill) process->Signal(SIGKILL);
    bell.Wait(now + kLook);
  }
  return *process->exit();
}

std::string Tail(const BenchRunner& runner, const std::string& log) {
  return LastLines(runner.files.Read(log).value_or(""), kLogLines, "  | ");
}

// The summary in the folder of a run, or one of zeros that says "failed".
std::string SummaryOf(const BenchRunner& runner, const BenchRun& run,
                      const std::string& folder) {
  std::string line =
      runner.files.Read(JoinPath(folder, "summary.json")).value_or("");
  absl::StripTrailingAsciiWhitespace(&line);
  const auto row = ParseBenchRow(line);
  if (row.ok() && IsResultOf(*row, run)) return line;
  JobOutcome nothing;
  nothing.options = run.options;
  return Summarize({.outcome = nothing, .state = RunState::kFailed}).dump();
}

}  // namespace

absl::StatusOr<std::string> MakeRun(const BenchRunner& runner,
                                    const BenchRun& run) {
  const std::string folder =
      JoinPath(runner.folder, absl::StrCat("runs/", run.name));
  // What an earlier bench began here and did not end.
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  RETURN_IF_ERROR(runner.files.MakeFolder(JoinPath(folder, "logs")));
  const std::string log = JoinPath(folder, "logs/train.log");
  ASSIGN_OR_RETURN(const ProcessExit exit,
                   RunChild(runner, {Arguments(runner, run, folder), log,
                                     runner.shows_progress ? "" : log}));
  if (runner.stop.load() != 0 && !exit.ok()) {
    return absl::CancelledError(
        absl::StrCat("interrupted by signal ", runner.stop.load()));
  }
  const std::string ending =
      absl::StrCat(run.name, ": ", DescribeExit(exit), "; the last lines of ",
                   log, ":\n", Tail(runner, log));
  if (exit.signal == 0 && exit.code == 2) {
    return absl::InvalidArgumentError(ending);
  }
  if (exit.signal == 0 && exit.code == 3) return absl::NotFoundError(ending);
  if (!exit.ok()) std::fputs(ending.c_str(), stderr);
  return SummaryOf(runner, run, folder);
}

}  // namespace monsoon
