// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_runner.h"

#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "cli/bell.h"
#include "cli/disturbance.h"
#include "cli/job_arguments.h"
#include "cli/process.h"
#include "cli/system_files.h"
#include "report/bench_row.h"
#include "worker/summary.h"

namespace monsoon {
namespace {

// How soon a signal is seen; the end of the child rings a bell.
constexpr absl::Duration kLook = absl::Milliseconds(50);
// After a signal: time to write a large model.
constexpr absl::Duration kGrace = absl::Seconds(30);
constexpr int kLogLines = 10;
// A run that only warms up is stopped then: it has loaded the data, and trained
// for a second or more.
constexpr absl::Duration kWarmUp = absl::Seconds(3);
// Where a child with a terminal finds the line that it draws beneath its own.
constexpr char kFooter[] = "MONSOON_PROGRESS_FOOTER=";

using Json = nlohmann::ordered_json;

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

// Waits for the end of the child; after a signal, or when its time is up, it is
// told, and gets some more.
absl::StatusOr<ProcessExit> RunChild(const BenchRunner& runner,
                                     const Process::Command& command,
                                     absl::Duration limit) {
  Bell bell(runner.clock);  // outlives the process, which rings it
  ASSIGN_OR_RETURN(const std::unique_ptr<Process> process,
                   Process::Start(command, [&bell] { bell.Ring(); }));
  const absl::Time end = runner.clock.Now() + limit;
  absl::Time kill = absl::InfiniteFuture();
  while (!process->exit().has_value()) {
    const absl::Time now = runner.clock.Now();
    const bool is_over = runner.stop.load() != 0 || now >= end;
    if (is_over && kill == absl::InfiniteFuture()) {
      process->Signal(runner.stop.load() != 0 ? runner.stop.load() : SIGTERM);
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

// What a run is measured by, beside its summary: from the making of this until
// it is asked.
class Watch {
 public:
  explicit Watch(const BenchRunner& runner)
      : runner_(runner),
        load_(ReadLoad(runner.files)),
        own_s_(ThisProcess().cpu_s),
        before_(ReadProcessorTimes(runner.files)),
        begin_(runner.clock.Now()) {}

  // Adds to the summary of a child that has ended.
  std::string Complete(const std::string& line, const ProcessExit& exit) const {
    const auto after = ReadProcessorTimes(runner_.files);
    const double wall_s = absl::ToDoubleSeconds(runner_.clock.Now() - begin_);
    const double own_s = exit.processor_s + ThisProcess().cpu_s - own_s_;
    Json summary = Json::parse(line, nullptr, false);
    summary["wall_s"] = wall_s;
    summary["load_before"] = load_.has_value() ? Json(*load_) : Json();
    const auto found = MeasureDisturbance(before_, after, own_s, wall_s);
    if (found.has_value()) {
      summary["other_load"] = found->other_load;
      summary["steal"] = found->steal;
      summary["disturbed"] = found->is_disturbed();
    }
    return summary.dump();
  }

 private:
  const BenchRunner& runner_;
  const std::optional<double> load_;
  const double own_s_;
  const std::optional<ProcessorTimes> before_;
  const absl::Time begin_;
};

// An empty folder, with one for logs; what an earlier bench began there and did
// not end is gone.
absl::Status MakeAnew(const BenchRunner& runner, const std::string& folder) {
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return runner.files.MakeFolder(JoinPath(folder, "logs"));
}

absl::Status Interrupted(const BenchRunner& runner) {
  return absl::CancelledError(
      absl::StrCat("interrupted by signal ", runner.stop.load()));
}

}  // namespace

absl::StatusOr<std::string> MakeRun(const BenchRunner& runner,
                                    const BenchRun& run,
                                    absl::string_view footer) {
  const std::string folder =
      JoinPath(runner.folder, absl::StrCat("runs/", run.name));
  RETURN_IF_ERROR(MakeAnew(runner, folder));
  const std::string log = JoinPath(folder, "logs/train.log");
  Process::Command command = {.arguments = Arguments(runner, run, folder),
                              .stdout_file = log,
                              .stderr_file = log};
  if (runner.shows_progress) {
    command.stderr_file = "";
    command.environment = {absl::StrCat(kFooter, footer)};
  }
  const Watch watch(runner);
  ASSIGN_OR_RETURN(const ProcessExit exit,
                   RunChild(runner, command, absl::InfiniteDuration()));
  if (runner.stop.load() != 0 && !exit.ok()) return Interrupted(runner);
  const std::string ending =
      absl::StrCat(run.name, ": ", DescribeExit(exit), "; the last lines of ",
                   log, ":\n", Tail(runner, log));
  if (exit.signal == 0 && exit.code == 2) {
    return absl::InvalidArgumentError(ending);
  }
  if (exit.signal == 0 && exit.code == 3) return absl::NotFoundError(ending);
  if (!exit.ok()) std::fputs(ending.c_str(), stderr);
  return watch.Complete(SummaryOf(runner, run, folder), exit);
}

absl::StatusOr<std::string> MakeRunAgain(const BenchRunner& runner,
                                         const BenchRun& run,
                                         absl::string_view footer) {
  namespace fs = std::filesystem;
  const std::string folder =
      JoinPath(runner.folder, absl::StrCat("runs/", run.name));
  const std::string before = folder + ".before";
  std::error_code ignored;
  fs::remove_all(before, ignored);
  fs::rename(folder, before, ignored);
  absl::StatusOr<std::string> line = MakeRun(runner, run, footer);
  const bool is_done = line.ok() && ParseBenchRow(*line).ok() &&
                       ParseBenchRow(*line)->status == "done";
  if (is_done) {
    fs::remove_all(before, ignored);
    return line;
  }
  fs::remove_all(folder, ignored);
  fs::rename(before, folder, ignored);
  if (line.ok()) line = "";
  return line;
}

absl::Status WarmUp(const BenchRunner& runner, const BenchRun& run) {
  const std::string folder = JoinPath(runner.folder, "runs/warm-up");
  RETURN_IF_ERROR(MakeAnew(runner, folder));
  const std::string log = JoinPath(folder, "logs/train.log");
  const auto exit = RunChild(runner,
                             {.arguments = Arguments(runner, run, folder),
                              .stdout_file = log,
                              .stderr_file = log},
                             kWarmUp);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  RETURN_IF_ERROR(exit.status());
  return runner.stop.load() == 0 ? absl::OkStatus() : Interrupted(runner);
}

}  // namespace monsoon
