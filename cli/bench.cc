// SPDX-License-Identifier: Apache-2.0
//
// monsoon bench: trainers x batch sizes x models, repeated, in shuffled order.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/command_line.h"
#include "base/filesystem.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/bench_folder.h"
#include "cli/bench_plan.h"
#include "cli/bench_runner.h"
#include "cli/command.h"
#include "cli/in_process.h"
#include "cli/machine.h"
#include "cli/process.h"
#include "data/dataset.h"
#include "models/model.h"
#include "report/bench_tables.h"
#include "trainers/trainer.h"
#include "trainers/wire.h"
#include "worker/flags.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon bench";

struct Arguments {
  Flags flags;
  std::string models = "mlp";
  std::string trainers = "single,downpour,aeasgd,adag";
  std::string batches = "16,32,64,128";
  std::string wire = "fp32";
  std::string repeat = "3";
  std::string time_to;
};

absl::StatusOr<BenchChoices> Read(int argc, const char* const* argv,
                                  Arguments& arguments) {
  CLI::App app(
      "Trains every trainer with every batch size, each run in a process of "
      "its own, and compares elapsed time and accuracy. The same command goes "
      "on with a bench that was interrupted.",
      kProgram);
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
  add("--wire", arguments.wire,
      "how values travel: codes to compare; PUSHES/REPLIES for two",
      "CODE,...");
  add("--repeat", arguments.repeat, "runs of each cell, with seeds that go up",
      "N");
  add("--time-to", arguments.time_to,
      "compare the time to these test accuracies", "ACCURACY,...");
  AddFlags(app, arguments.flags,
           {"trainer", "model", "batch-size", "wire", "time-to"});
  RETURN_IF_ERROR(
      ReadFlags(app, argc, argv, RealFileSystem(), arguments.flags));
  BenchChoices choices;
  if (!arguments.flags.help.empty()) return choices;
  choices.options = arguments.flags.options;
  ASSIGN_OR_RETURN(choices.models, ParseNames("models", "model",
                                              arguments.models, ModelNames()));
  ASSIGN_OR_RETURN(
      choices.trainers,
      ParseNames("trainers", "trainer", arguments.trainers, TrainerNames()));
  ASSIGN_OR_RETURN(choices.batch_sizes,
                   ParseCounts("batches", arguments.batches));
  if (app.count("--wire") > 0 || !choices.options.given.contains("wire")) {
    ASSIGN_OR_RETURN(choices.wires, ParseWires("wire", arguments.wire));
  } else {
    ASSIGN_OR_RETURN(const WireNames wire, ParseWire(choices.options.wire));
    choices.wires = {wire.text()};  // of --config
  }
  ASSIGN_OR_RETURN(const std::vector<int> repeat,
                   ParseCounts("repeat", arguments.repeat));
  if (repeat.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--repeat: found \"", arguments.repeat,
                     "\", expected one whole number, at least 1"));
  }
  choices.repeat = repeat.front();
  if (!arguments.time_to.empty()) {
    ASSIGN_OR_RETURN(choices.targets,
                     ParseAccuracies("time-to", arguments.time_to));
  } else if (choices.options.time_to > 0) {
    choices.targets = {choices.options.time_to};  // of --config
  }
  RETURN_IF_ERROR(ResolveTransport(choices.options));
  return choices;
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

std::string Counted(int64_t count, const std::string& what,
                    const std::string& plural = "s") {
  return absl::StrCat(count, " ", what, count == 1 ? "" : plural);
}

std::string Setting(const Options& options) {
  return absl::StrCat(options.data, ", ", Counted(options.workers, "worker"),
                      ", ", Counted(options.servers, "server"), ", ",
                      Counted(options.epochs, "epoch"), ", ",
                      options.transport);
}

void PrintPlan(const BenchChoices& choices, size_t runs, size_t before) {
  std::fprintf(
      stderr, "plan  %s x %s x %s x %s%s = %s, shuffled%s\n",
      Counted(static_cast<int64_t>(choices.models.size()), "model").c_str(),
      Counted(static_cast<int64_t>(choices.trainers.size()), "trainer").c_str(),
      Counted(static_cast<int64_t>(choices.batch_sizes.size()), "batch size")
          .c_str(),
      choices.wires.size() == 1
          ? ""
          : absl::StrCat(choices.wires.size(), " wire codes x ").c_str(),
      Counted(choices.repeat, "repeat").c_str(),
      Counted(static_cast<int64_t>(runs), "run").c_str(),
      before == 0 ? "" : absl::StrCat("; ", before, " done before").c_str());
}

// "[ 3/48] mlp adag b=64 seed 2   3.42 s  17540 samples/s  acc 0.8423 ..."
void PrintRun(const BenchRow& row, size_t number, size_t runs,
              absl::Duration left) {
  const std::string ending = row.status == "done" ? "" : "  " + row.status;
  const std::string time = absl::FormatDuration(absl::Trunc(
      left, left < absl::Minutes(10) ? absl::Seconds(1) : absl::Minutes(1)));
  std::fprintf(
      stderr,
      "[%3zu/%zu] %s %-9s b=%-4d %sseed %s  %7.2f s  %6.0f samples/s  acc "
      "%.4f%s%s\n",
      number, runs, row.model.c_str(), row.trainer.c_str(), row.batch_size,
      row.wire == "fp32" ? "" : (row.wire + " ").c_str(),
      absl::StrCat(row.seed).c_str(), row.elapsed_s, row.samples_per_s,
      row.test_acc, ending.c_str(),
      number == runs ? "" : ("  about " + time + " left").c_str());
}

bool IsDone(const BenchRun& run, const std::vector<BenchRow>& rows) {
  return std::any_of(rows.begin(), rows.end(), [&run](const BenchRow& row) {
    return IsResultOf(row, run);
  });
}

// Makes the runs that `rows` lacks, and adds them.
absl::Status MakeRuns(const BenchRunner& runner,
                      const std::vector<BenchRun>& runs,
                      std::vector<BenchRow>& rows) {
  const absl::Time begin = runner.clock.Now();
  size_t made = 0;
  for (const BenchRun& run : runs) {
    if (IsDone(run, rows)) continue;
    if (runner.stop.load() != 0) {
      return absl::CancelledError(
          absl::StrCat("interrupted by signal ", runner.stop.load()));
    }
    ASSIGN_OR_RETURN(const std::string line, MakeRun(runner, run));
    RETURN_IF_ERROR(AppendResult(runner.files, runner.folder, line));
    ASSIGN_OR_RETURN(BenchRow row, ParseBenchRow(line));
    rows.push_back(std::move(row));
    ++made;
    const size_t missing = runs.size() - std::min(runs.size(), rows.size());
    PrintRun(rows.back(), rows.size(), runs.size(),
             (runner.clock.Now() - begin) / static_cast<int64_t>(made) *
                 static_cast<int64_t>(missing));
  }
  return absl::OkStatus();
}

absl::Status WriteTables(FileSystem& files, const std::string& folder,
                         const BenchMatrix& matrix,
                         const std::vector<BenchRow>& rows) {
  std::vector<Table> tables = ElapsedTables(matrix, rows);
  for (Table& table : AccuracyTables(matrix, rows)) {
    tables.push_back(std::move(table));
  }
  if (HasCodes(matrix)) tables.push_back(WireTable(matrix, rows));
  if (!matrix.targets.empty()) tables.push_back(TimeToTable(matrix, rows));
  tables.push_back(RunsTable(matrix, rows));
  std::string markdown;
  for (const Table& table : tables) {
    absl::StrAppend(&markdown, FormatMarkdown(table), "\n");
  }
  // With one run for each there is nothing to compare by.
  const bool is_single = matrix.repeat == 1 && matrix.batch_sizes.size() == 1;
  const size_t shown =
      1 + (HasCodes(matrix) ? 1 : 0) + (matrix.targets.empty() ? 0 : 1);
  const size_t first = is_single ? tables.size() - shown : 0;
  const size_t last = is_single ? tables.size() : tables.size() - 1;
  for (size_t i = first; i < last; ++i) {
    std::printf("%s%s", i == first ? "" : "\n", FormatText(tables[i]).c_str());
  }
  RETURN_IF_ERROR(files.Write(JoinPath(folder, "tables.md"), markdown));
  RETURN_IF_ERROR(files.Write(JoinPath(folder, "elapsed.csv"),
                              FormatCsv(ElapsedSheet(matrix, rows))));
  return files.Write(JoinPath(folder, "accuracy.csv"),
                     FormatCsv(AccuracySheet(matrix, rows)));
}

// Where things are, how many runs there were, and the exit code.
int Close(const std::string& folder, const std::vector<BenchRow>& rows,
          bool json) {
  const auto count = [&rows](const char* status) {
    return std::count_if(
        rows.begin(), rows.end(),
        [status](const BenchRow& row) { return row.status == status; });
  };
  const int64_t done = count("done");
  const int64_t diverged = count("diverged");
  const int64_t bad = static_cast<int64_t>(rows.size()) - done;
  std::printf("\nbench folder: %s (each run in runs/)\n", folder.c_str());
  if (bad > 0) {
    std::fprintf(stderr,
                 "%s: %s of %zu not done; to repeat one, remove its line from "
                 "%s\n",
                 kProgram, Counted(bad, "run").c_str(), rows.size(),
                 JoinPath(folder, "results.jsonl").c_str());
  }
  if (json) {
    const nlohmann::ordered_json line = {{"out", folder},
                                         {"runs", rows.size()},
                                         {"done", done},
                                         {"diverged", diverged},
                                         {"failed", bad - diverged}};
    std::printf("%s\n", line.dump().c_str());
  }
  return bad == 0 ? 0 : 1;
}

absl::StatusOr<int> Bench(const BenchChoices& choices, bool json) {
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
  ASSIGN_OR_RETURN(std::vector<BenchRow> rows,
                   OpenBenchFolder(files, folder, MatrixJson(choices),
                                   DescribeMachine(files)));
  PrintPlan(choices, runs.size(), rows.size());
  const BenchRunner runner = {.clock = RealClock(),
                              .files = files,
                              .stop = stop,
                              .program = JoinPath(BinaryFolder(), "monsoon"),
                              .folder = folder,
                              .shows_progress = ::isatty(STDERR_FILENO) == 1};
  const absl::Status made = MakeRuns(runner, runs, rows);
  if (absl::IsCancelled(made)) {
    std::fprintf(stderr,
                 "%s: %s after %zu of %zu runs; the same command with --out %s "
                 "goes on\n",
                 kProgram, std::string(made.message()).c_str(), rows.size(),
                 runs.size(), folder.c_str());
    return 128 + stop.load();
  }
  RETURN_IF_ERROR(made);
  const BenchMatrix matrix = {.models = choices.models,
                              .trainers = choices.trainers,
                              .batch_sizes = choices.batch_sizes,
                              .wires = choices.wires,
                              .targets = choices.targets,
                              .repeat = choices.repeat,
                              .workers = choices.options.workers,
                              .setting = Setting(choices.options)};
  RETURN_IF_ERROR(WriteTables(files, folder, matrix, rows));
  return Close(folder, rows, json);
}

int RunBench(int argc, const char* const* argv) {
  Arguments arguments;
  const auto choices = Read(argc, argv, arguments);
  if (!choices.ok()) return Fail(kProgram, choices.status());
  if (!arguments.flags.help.empty()) {
    std::fputs(arguments.flags.help.c_str(), stdout);
    return 0;
  }
  const absl::StatusOr<int> code = Bench(*choices, arguments.flags.json);
  return code.ok() ? *code : Fail(kProgram, code.status());
}

const RegisterCommand kBench(
    "bench", {.help = "trainers x batch sizes x models, repeated, compared",
              .run = RunBench});

}  // namespace
}  // namespace monsoon
