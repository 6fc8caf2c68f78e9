// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_output.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "report/bench_tables.h"

namespace monsoon {
namespace {

// Above this load something else is at work.
constexpr double kQuietLoad = 0.5;

std::string Counted(int64_t count, const std::string& what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

// "2 workers", "1/2/4 workers"
std::string Numbers(const std::vector<int>& numbers, const std::string& what) {
  if (numbers.size() == 1) return Counted(numbers.front(), what);
  return absl::StrCat(absl::StrJoin(numbers, "/"), " ", what, "s");
}

std::string Setting(const BenchChoices& choices) {
  const Options& options = choices.options;
  const std::string windows =
      choices.windows.empty()
          ? ""
          : absl::StrCat(choices.windows.size() == 1 ? "window " : "windows ",
                         absl::StrJoin(choices.windows, "/"), ", ");
  return absl::StrCat(options.data, ", ", Numbers(choices.workers, "worker"),
                      ", ", Numbers(choices.servers, "server"), ", ", windows,
                      Counted(options.epochs, "epoch"), ", ",
                      options.transport);
}

BenchMatrix MatrixOf(const BenchChoices& choices, const std::string& against) {
  return {.models = choices.models,
          .trainers = choices.trainers,
          .batch_sizes = choices.batch_sizes,
          .wires = choices.wires,
          .workers = choices.workers,
          .servers = choices.servers,
          .windows = choices.windows,
          .targets = choices.targets,
          .against = against,
          .repeat = choices.repeat,
          .setting = Setting(choices)};
}

// "3 windows x "; "" of one.
std::string Times(size_t count, const char* what) {
  return count < 2 ? "" : absl::StrCat(count, " ", what, " x ");
}

// Those that are printed whatever the size of the bench, behind those of
// elapsed time and accuracy.
std::vector<Table> FurtherTables(const BenchMatrix& matrix,
                                 absl::Span<const BenchRow> rows) {
  std::vector<Table> tables;
  if (HasCodes(matrix)) tables.push_back(WireTable(matrix, rows));
  if (matrix.workers.size() > 1) {
    Table scaling = ScalingTable(matrix, rows);
    if (!scaling.rows.empty()) tables.push_back(std::move(scaling));
  }
  if (!matrix.targets.empty()) tables.push_back(TimeToTable(matrix, rows));
  if (!matrix.against.empty()) tables.push_back(AgainstTable(matrix, rows));
  return tables;
}

}  // namespace

void PrintPlan(const BenchChoices& choices, size_t runs, size_t before) {
  const auto counted = [](const auto& values, const char* what) {
    return Counted(static_cast<int64_t>(values.size()), what);
  };
  std::fputs(
      absl::StrCat(
          "plan   ", counted(choices.models, "model"), " x ",
          counted(choices.trainers, "trainer"), " x ",
          counted(choices.batch_sizes, "batch size"), " x ",
          Times(choices.wires.size(), "wire codes"),
          Times(choices.workers.size(), "numbers of workers"),
          Times(choices.servers.size(), "numbers of servers"),
          Times(choices.windows.size(), "windows"),
          Counted(choices.repeat, "repeat"), " = ",
          Counted(static_cast<int64_t>(runs), "run"), ", shuffled",
          before == 0 ? "" : absl::StrCat("; ", before, " done before"), "\n")
          .c_str(),
      stderr);
}

void PrintMachine(const nlohmann::ordered_json& machine) {
  const auto number = [&machine](const char* key) {
    return machine[key].is_number() ? machine[key].get<double>() : 0.0;
  };
  const nlohmann::ordered_json& governor = machine["governor"];
  const double load = number("load_before");
  const bool is_quiet = load <= kQuietLoad;
  std::fputs(
      absl::StrCat(
          is_quiet ? "quiet  " : "noisy  ",
          absl::StrFormat("load %.2f, ", load),
          Counted(static_cast<int64_t>(number("cores")), "core"), ", governor ",
          governor.is_string() ? governor.get<std::string>() : "not known",
          is_quiet ? ""
                   : "; something else is at work, and takes time from the "
                     "runs: end it, or take the times with care",
          "\n")
          .c_str(),
      stderr);
}

absl::Status WriteTables(FileSystem& files, const std::string& folder,
                         const BenchChoices& choices,
                         const std::string& against,
                         absl::Span<const BenchRow> rows) {
  const BenchMatrix matrix = MatrixOf(choices, against);
  using Tables = std::vector<Table>;
  Tables pivots = ElapsedTables(matrix, rows);
  for (Table& table : AccuracyTables(matrix, rows)) {
    pivots.push_back(std::move(table));
  }
  const Tables further = FurtherTables(matrix, rows);
  const Tables runs = {RunsTable(matrix, rows)};
  // With one run for each there is nothing to compare by.
  const bool is_single = matrix.repeat == 1 && matrix.batch_sizes.size() == 1;
  std::string markdown;
  const char* separator = "";
  for (const Tables& tables : std::vector<Tables>{pivots, further, runs}) {
    for (const Table& table : tables) {
      absl::StrAppend(&markdown, FormatMarkdown(table), "\n");
    }
  }
  for (const Tables& tables : is_single
                                  ? std::vector<Tables>{further, runs}
                                  : std::vector<Tables>{pivots, further}) {
    for (const Table& table : tables) {
      std::printf("%s%s", separator, FormatText(table).c_str());
      separator = "\n";
    }
  }
  RETURN_IF_ERROR(files.Write(JoinPath(folder, "tables.md"), markdown));
  RETURN_IF_ERROR(files.Write(JoinPath(folder, "elapsed.csv"),
                              FormatCsv(ElapsedSheet(matrix, rows))));
  return files.Write(JoinPath(folder, "accuracy.csv"),
                     FormatCsv(AccuracySheet(matrix, rows)));
}

int CloseBench(const std::string& program, const std::string& folder,
               absl::Span<const BenchRow> rows, bool json) {
  const auto count = [&rows](const auto& is) {
    return static_cast<int64_t>(std::count_if(rows.begin(), rows.end(), is));
  };
  const int64_t done =
      count([](const BenchRow& row) { return row.status == "done"; });
  const int64_t diverged =
      count([](const BenchRow& row) { return row.status == "diverged"; });
  const int64_t disturbed =
      count([](const BenchRow& row) { return row.disturbed; });
  const int64_t bad = static_cast<int64_t>(rows.size()) - done;
  std::printf("\nbench folder: %s (each run in runs/)\n", folder.c_str());
  if (bad > 0) {
    std::fprintf(stderr,
                 "%s: %s of %zu not done; to repeat one, remove its line from "
                 "%s\n",
                 program.c_str(), Counted(bad, "run").c_str(), rows.size(),
                 JoinPath(folder, "results.jsonl").c_str());
  }
  const int64_t to_repeat =
      count([](const BenchRow& row) { return row.disturbed && !row.repeated; });
  if (to_repeat > 0) {
    std::fprintf(stderr,
                 "%s: %s of %zu disturbed; the same command with "
                 "--repeat-disturbed --out %s makes them again\n",
                 program.c_str(), Counted(to_repeat, "run").c_str(),
                 rows.size(), folder.c_str());
  }
  if (json) {
    const nlohmann::ordered_json line = {{"out", folder},
                                         {"runs", rows.size()},
                                         {"done", done},
                                         {"diverged", diverged},
                                         {"failed", bad - diverged},
                                         {"disturbed", disturbed}};
    std::printf("%s\n", line.dump().c_str());
  }
  return bad == 0 ? 0 : 1;
}

}  // namespace monsoon
