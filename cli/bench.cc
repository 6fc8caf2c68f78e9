// SPDX-License-Identifier: Apache-2.0
//
// monsoon bench: trainers x batch sizes x models x workers, repeated, in
// shuffled order.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/command_line.h"
#include "base/filesystem.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/bench_folder.h"
#include "cli/bench_lists.h"
#include "cli/bench_output.h"
#include "cli/bench_plan.h"
#include "cli/bench_progress.h"
#include "cli/bench_runner.h"
#include "cli/command.h"
#include "cli/in_process.h"
#include "cli/machine.h"
#include "cli/process.h"
#include "data/dataset.h"
#include "models/model.h"
#include "trainers/trainer.h"
#include "trainers/wire.h"
#include "worker/flags.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon bench";

// What a person wants of a bench.
struct Wishes {
  BenchChoices choices;
  std::string against;  // a trainer; "" for none
  int warm_up_runs = 1;
  bool repeat_disturbed = false;
  bool json = false;
};

// As typed, and what it means.
struct Arguments {
  Flags flags;
  std::string models = "mlp";
  std::string trainers = "single,downpour,aeasgd,adag";
  std::string batches = "16,32,64,128";
  std::string workers = "2";
  std::string servers = "1";
  std::string windows;
  std::string wire = "fp32";
  std::string repeat = "3";
  std::string time_to;
  std::string against;
  std::string warm_up_runs = "1";
  bool repeat_disturbed = false;
  Wishes wishes;
};

void AddOptions(CLI::App& app, Arguments& arguments) {
  const auto add = [&app](const char* flag, std::string& value,
                          const char* help, const char* type) {
    app.add_option(flag, value, help)
        ->type_name(type)
        ->capture_default_str()
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  };
  add("--trainers", arguments.trainers, "trainers to compare", "NAME,...");
  add("--batches", arguments.batches, "batch sizes", "B,...");
  add("--models", arguments.models, "models", "NAME,...");
  add("--workers", arguments.workers,
      "numbers of workers, of trainers that know more than one", "N,...");
  add("--servers", arguments.servers, "numbers of servers", "S,...");
  add("--windows", arguments.windows,
      "local steps between exchanges, of trainers with the hyper-parameter "
      "window",
      "N,...");
  add("--wire", arguments.wire,
      "how values travel: codes to compare; PUSHES/REPLIES for two",
      "CODE,...");
  add("--repeat", arguments.repeat, "runs of each cell, with seeds that go up",
      "N");
  add("--time-to", arguments.time_to,
      "compare the time to these test accuracies", "ACCURACY,...");
  add("--against", arguments.against,
      "print how many times as fast as this one of the trainers the others are",
      "NAME");
  add("--warm-up-runs", arguments.warm_up_runs,
      "runs of each model that are stopped after 3 s and not counted, before "
      "the first that counts; 0 for none",
      "N");
  app.add_flag("--repeat-disturbed", arguments.repeat_disturbed,
               "make runs that other processes disturbed again, once");
  AddFlags(app, arguments.flags,
           {"trainer", "model", "batch-size", "workers", "servers", "wire",
            "time-to"});
}

// One number, which may be 0 where the least is that.
absl::StatusOr<int> ParseNumber(absl::string_view flag, const std::string& text,
                                int least) {
  if (least == 0 && text == "0") return 0;
  const absl::StatusOr<std::vector<int>> counts = ParseCounts(flag, text);
  if (counts.ok() && counts->size() == 1) return counts->front();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, ": found \"", text,
                   "\", expected one whole number, at least ", least));
}

// The list of a flag; where only --config has the number, that.
absl::StatusOr<std::vector<int>> ReadNumbers(const CLI::App& app,
                                             const std::string& flag,
                                             const std::string& text,
                                             const Options& options,
                                             int Options::*of_config) {
  if (app.count("--" + flag) == 0 && options.given.contains(flag)) {
    return std::vector<int>{options.*of_config};
  }
  return ParseCounts(flag, text);
}

absl::Status ReadNames(const Arguments& arguments, BenchChoices& choices) {
  ASSIGN_OR_RETURN(choices.models, ParseNames("models", "model",
                                              arguments.models, ModelNames()));
  ASSIGN_OR_RETURN(
      choices.trainers,
      ParseNames("trainers", "trainer", arguments.trainers, TrainerNames()));
  const std::vector<std::string>& trainers = choices.trainers;
  if (arguments.against.empty() ||
      std::find(trainers.begin(), trainers.end(), arguments.against) !=
          trainers.end()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--against: found \"", arguments.against,
      "\", expected one of --trainers ", absl::StrJoin(trainers, ","),
      "; add it there, or name one of these"));
}

absl::Status ReadAxes(const CLI::App& app, const Arguments& arguments,
                      BenchChoices& choices) {
  Options& options = choices.options;
  ASSIGN_OR_RETURN(choices.batch_sizes,
                   ParseCounts("batches", arguments.batches));
  ASSIGN_OR_RETURN(choices.workers,
                   ReadNumbers(app, "workers", arguments.workers, options,
                               &Options::workers));
  ASSIGN_OR_RETURN(choices.servers,
                   ReadNumbers(app, "servers", arguments.servers, options,
                               &Options::servers));
  options.workers = choices.workers.front();
  options.servers = choices.servers.front();
  if (!arguments.windows.empty()) {
    ASSIGN_OR_RETURN(choices.windows,
                     ParseCounts("windows", arguments.windows));
  }
  if (app.count("--wire") > 0 || !options.given.contains("wire")) {
    ASSIGN_OR_RETURN(choices.wires, ParseWires("wire", arguments.wire));
  } else {
    ASSIGN_OR_RETURN(const WireNames wire, ParseWire(options.wire));
    choices.wires = {wire.text()};  // of --config
  }
  ASSIGN_OR_RETURN(choices.repeat,
                   ParseNumber("repeat", arguments.repeat, /*least=*/1));
  if (!arguments.time_to.empty()) {
    ASSIGN_OR_RETURN(choices.targets,
                     ParseAccuracies("time-to", arguments.time_to));
  } else if (options.time_to > 0) {
    choices.targets = {options.time_to};  // of --config
  }
  return absl::OkStatus();
}

absl::Status Read(int argc, const char* const* argv, Arguments& arguments) {
  CLI::App app(
      "Trains every trainer with every batch size, each run in a process of "
      "its own, and compares elapsed time and accuracy. The same command goes "
      "on with a bench that was interrupted.",
      kProgram);
  AddOptions(app, arguments);
  RETURN_IF_ERROR(
      ReadFlags(app, argc, argv, RealFileSystem(), arguments.flags));
  if (!arguments.flags.help.empty()) return absl::OkStatus();
  Wishes& wishes = arguments.wishes;
  wishes.against = arguments.against;
  wishes.repeat_disturbed = arguments.repeat_disturbed;
  wishes.json = arguments.flags.json;
  wishes.choices.options = arguments.flags.options;
  RETURN_IF_ERROR(ReadNames(arguments, wishes.choices));
  RETURN_IF_ERROR(ReadAxes(app, arguments, wishes.choices));
  ASSIGN_OR_RETURN(
      wishes.warm_up_runs,
      ParseNumber("warm-up-runs", arguments.warm_up_runs, /*least=*/0));
  return ResolveTransport(wishes.choices.options);
}

// Finds before any work what would end every run, or one of them.
absl::Status CheckData(const BenchChoices& choices,
                       const std::vector<BenchRun>& runs) {
  for (const Split split : {Split::kTest, Split::kTrain}) {
    ASSIGN_OR_RETURN(const Dataset data, LoadDataset(choices.options.data,
                                                     split, RealFileSystem()));
    if (split == Split::kTest) continue;
    const Shape example{data.channels, data.height, data.width};
    for (const BenchRun& run : runs) {
      RETURN_IF_ERROR(CheckDataSize(run.options, data.total));
      RETURN_IF_ERROR(CheckOneLabel(run.options.model, example, data.classes));
    }
  }
  return absl::OkStatus();
}

bool IsDone(const BenchRun& run, const std::vector<BenchRow>& rows) {
  return std::any_of(rows.begin(), rows.end(), [&run](const BenchRow& row) {
    return IsResultOf(row, run);
  });
}

absl::Status CheckStop(const BenchRunner& runner) {
  const int stop = runner.stop.load();
  if (stop == 0) return absl::OkStatus();
  return absl::CancelledError(absl::StrCat("interrupted by signal ", stop));
}

// Before the first run that counts: so many of each model that has one to come.
absl::Status WarmUpModels(const BenchRunner& runner, int times,
                          const std::vector<BenchRun>& runs,
                          const std::vector<BenchRow>& rows) {
  std::set<std::string> warm;
  for (const BenchRun& run : runs) {
    if (IsDone(run, rows) || !warm.insert(run.options.model).second) continue;
    for (int i = 0; i < times; ++i) {
      RETURN_IF_ERROR(CheckStop(runner));
      std::fprintf(stderr, "warm   %s, not counted\n",
                   run.options.model.c_str());
      RETURN_IF_ERROR(WarmUp(runner, run));
    }
  }
  return absl::OkStatus();
}

// "[ 3/48] mlp adag ...  about 18m left": on a terminal the child says what is
// left.
void PrintRun(const std::string& text, size_t number, size_t runs,
              double seconds_left, const BenchRunner& runner) {
  const std::string left = LeftText(seconds_left);
  const bool says_left =
      !runner.shows_progress && number < runs && !left.empty();
  std::fprintf(
      stderr, "[%3zu/%zu] %s%s\n", number, runs, text.c_str(),
      says_left ? absl::StrCat("  about ", left, " left").c_str() : "");
}

// Makes the runs that `rows` lacks, and adds them.
absl::Status MakeRuns(const BenchRunner& runner, const BenchChoices& choices,
                      const std::vector<BenchRun>& runs,
                      std::vector<BenchRow>& rows) {
  for (const BenchRun& run : runs) {
    if (IsDone(run, rows)) continue;
    RETURN_IF_ERROR(CheckStop(runner));
    ASSIGN_OR_RETURN(
        const std::string line,
        MakeRun(runner, run,
                BarText(rows.size(), runs.size(), EstimateLeft(runs, rows))));
    RETURN_IF_ERROR(AppendResult(runner.files, runner.folder, line));
    ASSIGN_OR_RETURN(BenchRow row, ParseBenchRow(line));
    rows.push_back(std::move(row));
    PrintRun(RunText(rows.back(), choices), rows.size(), runs.size(),
             EstimateLeft(runs, rows), runner);
  }
  return absl::OkStatus();
}

// Makes the runs that were disturbed again, each once, in the order of `rows`,
// which are the lines of results.jsonl: a bench that goes on knows those that
// were made again.
absl::Status RepeatDisturbed(const BenchRunner& runner,
                             const BenchChoices& choices,
                             const std::vector<BenchRun>& runs,
                             std::vector<BenchRow>& rows) {
  const auto is_due = [](const BenchRow& row) {
    return row.disturbed && !row.repeated;
  };
  const size_t due =
      static_cast<size_t>(std::count_if(rows.begin(), rows.end(), is_due));
  size_t made = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!is_due(rows[i])) continue;
    const auto run = std::find_if(
        runs.begin(), runs.end(),
        [&](const BenchRun& one) { return IsResultOf(rows[i], one); });
    if (run == runs.end()) continue;
    RETURN_IF_ERROR(CheckStop(runner));
    const double seconds = EstimateSeconds(*run, rows);
    ASSIGN_OR_RETURN(
        const std::string line,
        MakeRunAgain(
            runner, *run,
            BarText(made, due, seconds * static_cast<double>(due - made))));
    if (line.empty()) {  // what is there is better than nothing
      rows[i].repeated = true;
      ++made;
      continue;
    }
    auto summary = nlohmann::ordered_json::parse(line);
    summary["repeated"] = true;
    RETURN_IF_ERROR(
        ReplaceResult(runner.files, runner.folder, i, summary.dump()));
    ASSIGN_OR_RETURN(rows[i], ParseBenchRow(summary.dump()));
    ++made;
    PrintRun(absl::StrCat("again: ", RunText(rows[i], choices)), made, due,
             seconds * static_cast<double>(due - made), runner);
  }
  return absl::OkStatus();
}

absl::Status MakeAll(const BenchRunner& runner, const Wishes& wishes,
                     const std::vector<BenchRun>& runs,
                     std::vector<BenchRow>& rows) {
  RETURN_IF_ERROR(WarmUpModels(runner, wishes.warm_up_runs, runs, rows));
  RETURN_IF_ERROR(MakeRuns(runner, wishes.choices, runs, rows));
  if (!wishes.repeat_disturbed) return absl::OkStatus();
  return RepeatDisturbed(runner, wishes.choices, runs, rows);
}

absl::StatusOr<int> Bench(const Wishes& wishes) {
  const BenchChoices& choices = wishes.choices;
  FileSystem& files = RealFileSystem();
  ASSIGN_OR_RETURN(const std::vector<BenchRun> runs, PlanRuns(choices));
  RETURN_IF_ERROR(CheckData(choices, runs));
  const std::atomic<int>& stop = CatchStopSignals();
  std::string folder = choices.options.out;
  if (folder.empty()) {
    folder = absl::StrCat(
        "runs/bench-",
        absl::FormatTime("%Y%m%d-%H%M%S", absl::Now(), absl::UTCTimeZone()));
  }
  const nlohmann::ordered_json machine = DescribeMachine(files);
  ASSIGN_OR_RETURN(
      std::vector<BenchRow> rows,
      OpenBenchFolder(files, folder, MatrixJson(choices), machine));
  PrintPlan(choices, runs.size(), rows.size());
  PrintMachine(machine);
  const BenchRunner runner = {.clock = RealClock(),
                              .files = files,
                              .stop = stop,
                              .program = JoinPath(BinaryFolder(), "monsoon"),
                              .folder = folder,
                              .shows_progress = ::isatty(STDERR_FILENO) == 1};
  const absl::Status made = MakeAll(runner, wishes, runs, rows);
  if (absl::IsCancelled(made)) {
    std::fprintf(stderr,
                 "%s: %s after %zu of %zu runs; the same command with --out %s "
                 "goes on\n",
                 kProgram, std::string(made.message()).c_str(), rows.size(),
                 runs.size(), folder.c_str());
    return 128 + stop.load();
  }
  RETURN_IF_ERROR(made);
  RETURN_IF_ERROR(WriteTables(files, folder, choices, wishes.against, rows));
  return CloseBench(kProgram, folder, rows, wishes.json);
}

int RunBench(int argc, const char* const* argv) {
  return RunCommand<Arguments>(
      kProgram, argc, argv, Read,
      [](const Arguments& arguments) { return Bench(arguments.wishes); });
}

const RegisterCommand kBench(
    "bench", {.help = "trainers x batch sizes x models, repeated, compared",
              .run = RunBench});

}  // namespace
}  // namespace monsoon
