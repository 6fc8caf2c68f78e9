// SPDX-License-Identifier: Apache-2.0
//
// monsoon compare A B: two benches, or two runs, side by side, with a gate.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/command_line.h"
#include "base/filesystem.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/compared_folder.h"
#include "report/comparison.h"
#include "report/comparison_json.h"
#include "report/comparison_tables.h"
#include "report/gate.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kProgram[] = "monsoon compare";
constexpr int kGateFailed = 4;
// Shown of every comparison, beside the fields of the gate.
constexpr const char* kShown[] = {"elapsed_s", "samples_per_s", "test_acc",
                                  "time_to"};

struct Arguments {
  std::vector<std::string> folders;
  std::vector<std::string> gates;
  bool json = false;
  bool csv = false;
  std::string help;
};

// All that is printed, in one way or another.
struct Compared {
  ComparedFolder a;
  ComparedFolder b;
  std::vector<ComparedCell> cells;
  std::vector<GateBound> bounds;
  std::optional<GateResult> gate;  // none was asked for
};

absl::Status Read(int argc, const char* const* argv, Arguments& arguments) {
  CLI::App app(
      "Two benches, or two runs, side by side: medians, B - A, its 95 % "
      "interval, and which differences are within noise.",
      kProgram);
  app.add_option("FOLDER", arguments.folders,
                 "A and B: folders of monsoon bench, or of one run each")
      ->type_name("A B");
  app.add_option("--gate", arguments.gates,
                 "bounds on B - A in every cell, as in 'test_acc >= -0.005, "
                 "elapsed_s <= +10%' (% of A), and on B itself, as in "
                 "'abs(test_acc) >= 0.86'; exit code 4 when one falls short. "
                 "Fields: " +
                     absl::StrJoin(ComparedFieldNames(), ", "))
      ->type_name("BOUND,...")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--json", arguments.json, "one JSON object on stdout instead");
  app.add_flag("--csv", arguments.csv,
               "a line for each cell and field on stdout instead");
  return ParseCommandLine(app, argc, argv, arguments.help);
}

absl::Status CheckArguments(const Arguments& arguments) {
  if (arguments.json && arguments.csv) {
    return absl::InvalidArgumentError(
        "found --json and --csv, expected one of them at most");
  }
  const std::vector<std::string>& folders = arguments.folders;
  if (folders.size() != 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "found ", folders.size(), folders.size() == 1 ? " folder" : " folders",
        folders.empty() ? "" : " (", absl::StrJoin(folders, ", "),
        folders.empty() ? "" : ")",
        ", expected two: monsoon compare A B [--gate BOUND,...]"));
  }
  std::error_code ignored;  // a folder that is not there is found missing later
  if (folders[0] == folders[1] ||
      std::filesystem::equivalent(folders[0], folders[1], ignored)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", folders[0], "\" and \"", folders[1],
                     "\" are one folder, expected two; name what it is to be "
                     "compared with"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<GateBound>> ReadGates(const Arguments& arguments) {
  std::vector<GateBound> bounds;
  for (const std::string& text : arguments.gates) {
    absl::StatusOr<std::vector<GateBound>> gate = ParseGate(text);
    if (!gate.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--gate ", gate.status().message()));
    }
    std::move(gate->begin(), gate->end(), std::back_inserter(bounds));
  }
  return bounds;
}

// A folder that cannot be read at all ends the command; both are said.
absl::StatusOr<Compared> ReadFolders(const Arguments& arguments) {
  FileSystem& files = RealFileSystem();
  auto a = ReadComparedFolder(files, arguments.folders[0]);
  auto b = ReadComparedFolder(files, arguments.folders[1]);
  if (!a.ok() && !b.ok()) Fail(kProgram, a.status());
  if (!b.ok()) return b.status();
  if (!a.ok()) return a.status();
  return Compared{.a = *std::move(a), .b = *std::move(b)};
}

// Somebody who names two runs wants these compared, though their cells differ;
// where one side is a bench, its cells say what belongs together.
std::vector<ComparedCell> Match(const ComparedFolder& a,
                                const ComparedFolder& b) {
  const bool are_runs =
      !a.is_bench && !b.is_bench && a.runs.size() == 1 && b.runs.size() == 1;
  return are_runs ? CompareRuns(a.runs[0], b.runs[0])
                  : CompareBenches(a.runs, b.runs);
}

// Of a machine as bench.json describes it: "versions.grpc" is a key.
std::map<std::string, Json> Flat(const Json& machine) {
  std::map<std::string, Json> flat;
  if (!machine.is_object()) return flat;
  for (const auto& [key, value] : machine.items()) {
    if (!value.is_object()) flat[key] = value;
    if (!value.is_object()) continue;
    for (const auto& [part, inner] : value.items()) {
      flat[absl::StrCat(key, ".", part)] = inner;
    }
  }
  return flat;
}

// All that both describe, but how busy and how fast it was just then: that
// always differs.
Json MachineDifferences(const Json& a, const Json& b) {
  const std::set<std::string> varies = {"load_before", "frequency_mhz"};
  Json differs = Json::object();
  const std::map<std::string, Json> of_b = Flat(b);
  for (const auto& [key, value] : Flat(a)) {
    const auto other = of_b.find(key);
    if (varies.contains(key) || other == of_b.end()) continue;
    if (other->second == value) continue;
    differs[key] = {{"a", value}, {"b", other->second}};
  }
  return differs;
}

// A value from a file name may be no UTF-8, at which dump() would throw.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

int CountDone(const ComparedFolder& folder) {
  return static_cast<int>(
      std::count_if(folder.runs.begin(), folder.runs.end(),
                    [](const ComparedRun& run) { return run.is_done(); }));
}

std::string DescribeFolder(const char* name, const ComparedFolder& folder) {
  const size_t runs = folder.runs.size();
  const size_t bad = runs - static_cast<size_t>(CountDone(folder));
  return absl::StrCat(name, "  ", folder.path, ": ", runs,
                      runs == 1 ? " run" : " runs", bad == 0 ? "" : ", ",
                      bad == 0 ? "" : absl::StrCat(bad, " not done"));
}

// The fields that are shown: the usual ones that have values, and the gate's.
std::vector<int> ShownFields(const Compared& compared) {
  std::set<int> shown;
  for (const char* name : kShown) {
    const int field = FindComparedField(name);
    if (HasValues(compared.cells, field)) shown.insert(field);
  }
  for (const GateBound& bound : compared.bounds) shown.insert(bound.field);
  if (shown.empty()) shown.insert(0);  // the cells, and how they ended
  return {shown.begin(), shown.end()};
}

void PrintLines(std::FILE* out, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    std::fprintf(out, "%s\n", line.c_str());
  }
}

void PrintText(const Compared& compared) {
  const std::vector<ComparedCell>& cells = compared.cells;
  PrintLines(stdout, {DescribeFolder("A", compared.a),
                      DescribeFolder("B", compared.b)});
  const Json machine =
      MachineDifferences(compared.a.machine, compared.b.machine);
  for (const auto& [key, values] : machine.items()) {
    PrintLines(stdout, {absl::StrCat("differs: the machine's ", key, " is ",
                                     Dump(values["a"]), " in A, ",
                                     Dump(values["b"]), " in B")});
  }
  PrintLines(stdout, DescribeSettings(cells));
  PrintLines(stdout, DescribeNotDone(cells));
  const std::vector<int> fields = ShownFields(compared);
  for (const int field : fields) {
    const std::string table = FormatMarkdown(DifferenceTable(cells, field));
    std::printf("\n%s", table.c_str());
  }
  std::printf("\n");
  for (const int field : fields) {
    PrintLines(stdout, {DescribeTally(cells, field)});
  }
  PrintLines(stdout, {DescribeMethod()});
  if (!compared.gate.has_value()) return;
  std::printf("\n");
  PrintLines(stdout, DescribeGate(*compared.gate));
}

Json FolderJson(const ComparedFolder& folder) {
  return {{"folder", folder.path},
          {"runs", folder.runs.size()},
          {"done", CountDone(folder)},
          {"problems", folder.problems}};
}

// The names and their order are an interface: docs/compare.md.
Json ToJson(const Compared& compared) {
  Json json;
  json["a"] = FolderJson(compared.a);
  json["b"] = FolderJson(compared.b);
  json["machine"] = MachineDifferences(compared.a.machine, compared.b.machine);
  json["interval"] = MethodJson();
  json["cells"] = CellsJson(compared.cells);
  json["gate"] =
      compared.gate.has_value() ? GateJson(*compared.gate) : Json(nullptr);
  return json;
}

void Print(const Compared& compared, const Arguments& arguments) {
  if (arguments.json) {
    std::printf("%s\n", Dump(ToJson(compared)).c_str());
  } else if (arguments.csv) {
    std::fputs(FormatCsv(DifferenceSheet(compared.cells)).c_str(), stdout);
  } else {
    PrintText(compared);
    return;
  }
  // What reads the output need not say why the command failed; its log does.
  if (compared.gate.has_value() && !compared.gate->holds()) {
    PrintLines(stderr, DescribeGate(*compared.gate));
  }
}

absl::StatusOr<int> Compare(const Arguments& arguments) {
  RETURN_IF_ERROR(CheckArguments(arguments));
  ASSIGN_OR_RETURN(std::vector<GateBound> bounds, ReadGates(arguments));
  ASSIGN_OR_RETURN(Compared compared, ReadFolders(arguments));
  compared.cells = Match(compared.a, compared.b);
  compared.bounds = std::move(bounds);
  if (!compared.bounds.empty()) {
    compared.gate = CheckGate(compared.bounds, compared.cells);
  }
  for (const ComparedFolder* folder : {&compared.a, &compared.b}) {
    for (const std::string& problem : folder->problems) {
      std::fprintf(stderr, "%s: %s\n", kProgram, problem.c_str());
    }
  }
  Print(compared, arguments);
  if (compared.gate.has_value() && !compared.gate->holds()) return kGateFailed;
  if (!compared.a.is_corrupt && !compared.b.is_corrupt) return 0;
  return absl::DataLossError(
      "not all of it could be read (see above); the rest is compared");
}

int RunCompare(int argc, const char* const* argv) {
  return RunCommand(kProgram, argc, argv, Read, Compare);
}

const RegisterCommand kCompare(
    "compare", {.help = "two benches or runs side by side, with a gate",
                .run = RunCompare});

}  // namespace
}  // namespace monsoon
