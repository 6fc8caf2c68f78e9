// SPDX-License-Identifier: Apache-2.0
#include "cli/compared_folder.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

std::string Quoted(const std::string& path) {
  return absl::StrCat("\"", path, "\"");
}

// "1 run has", "3 runs have"
std::string RunsHave(int count) {
  return absl::StrCat(count, count == 1 ? " run has" : " runs have");
}

// One problem for each key, however many runs lack it.
void AddMissing(const std::string& path, ComparedFolder& folder) {
  std::map<std::string, int> missing;
  for (const ComparedRun& run : folder.runs) {
    for (const std::string& key : run.missing) ++missing[key];
  }
  for (const auto& [key, count] : missing) {
    const char* consequence = FindComparedField(key) >= 0
                                  ? "it is not compared by that"
                              : key == "wire"    ? "taken as fp32"
                              : key == "servers" ? "taken as 1"
                                                 : "taken as fashion-mnist";
    folder.problems.push_back(
        absl::StrCat(Quoted(path), ": ", RunsHave(count), " no \"", key,
                     "\", which this version writes; ", consequence));
  }
}

void AddEmpty(const std::string& path, ComparedFolder& folder) {
  if (!folder.runs.empty()) return;
  folder.is_corrupt = true;
  folder.problems.push_back(
      absl::StrCat(Quoted(path),
                   ": found no run that can be read, expected "
                   "one at least; let the bench end"));
}

absl::Status ReadResults(FileSystem& files, const std::string& path,
                         ComparedFolder& folder) {
  ASSIGN_OR_RETURN(const std::string text, files.Read(path));
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  for (size_t i = 0; i < lines.size(); ++i) {
    if (absl::StripAsciiWhitespace(lines[i]).empty()) continue;
    absl::StatusOr<ComparedRun> run = ParseComparedRun(lines[i]);
    if (run.ok()) {
      folder.runs.push_back(*std::move(run));
      continue;
    }
    // Behind the last newline is what was being written when the bench was
    // killed.
    const bool is_torn = i + 1 == lines.size();
    folder.is_corrupt = folder.is_corrupt || !is_torn;
    folder.problems.push_back(absl::StrCat(
        Quoted(path), ", line ", i + 1, is_torn ? ", is half-written: " : ": ",
        run.status().message(), "; not compared, ",
        is_torn ? "and done again by the same monsoon bench"
                : "remove the line, and the same monsoon bench does its run "
                  "again"));
  }
  AddMissing(path, folder);
  AddEmpty(path, folder);
  return absl::OkStatus();
}

absl::Status ReadSummary(FileSystem& files, const std::string& path,
                         ComparedFolder& folder) {
  ASSIGN_OR_RETURN(const std::string text, files.Read(path));
  absl::StatusOr<ComparedRun> run =
      ParseComparedRun(absl::StripAsciiWhitespace(text));
  if (run.ok()) {
    folder.runs.push_back(*std::move(run));
    AddMissing(path, folder);
    return absl::OkStatus();
  }
  folder.is_corrupt = true;
  folder.problems.push_back(absl::StrCat(Quoted(path), ": ",
                                         run.status().message(),
                                         "; not compared, do the run again"));
  return absl::OkStatus();
}

absl::Status Neither(FileSystem& files, const std::string& path) {
  if (!files.Exists(path)) {
    return absl::NotFoundError(
        absl::StrCat(Quoted(path),
                     ": found no such folder, expected one that monsoon bench, "
                     "train, launch or simulate wrote (--out)"));
  }
  if (!files.List(path).ok()) {
    return absl::NotFoundError(
        absl::StrCat(Quoted(path),
                     ": found a file, expected the folder with "
                     "results.jsonl or summary.json"));
  }
  const char* why =
      files.Exists(JoinPath(path, "bench.json"))
          ? "; its bench has ended no run yet"
      : files.Exists(JoinPath(path, "config.toml"))
          ? "; its run has not ended"
          : "; name what --out of monsoon bench, train, launch or "
            "simulate named";
  return absl::NotFoundError(absl::StrCat(
      Quoted(path), ": found neither results.jsonl nor summary.json in it",
      why));
}

// A cell with fewer runs than the bench asks for is of one that has not ended:
// what is there is compared, but somebody should know.
void AddUnfinished(const std::string& path, const Json& matrix,
                   ComparedFolder& folder) {
  if (!matrix.is_object()) return;
  const auto repeat = matrix.find("repeat");
  if (repeat == matrix.end() || !repeat->is_number_integer()) return;
  std::map<BenchCell, int> runs;
  for (const ComparedRun& run : folder.runs) ++runs[run.cell];
  for (const auto& [cell, count] : runs) {
    if (count >= repeat->get<int64_t>()) continue;
    folder.problems.push_back(
        absl::StrCat(Quoted(path), ": ", RunsHave(count), " ended of ",
                     DescribeCell(cell), ", expected ", repeat->get<int64_t>(),
                     "; the same monsoon bench goes on where it was"));
  }
}

// What bench.json says, as far as it can be read.
void ReadBench(FileSystem& files, ComparedFolder& folder) {
  const std::string path = JoinPath(folder.path, "bench.json");
  const Json bench = Json::parse(files.Read(path).value_or(""), nullptr, false);
  if (!bench.is_object()) return;
  folder.machine = bench.value("machine", Json());
  AddUnfinished(path, bench.value("matrix", Json()), folder);
}

}  // namespace

absl::StatusOr<ComparedFolder> ReadComparedFolder(FileSystem& files,
                                                  const std::string& path) {
  ComparedFolder folder;
  folder.path = path;
  const std::string results = JoinPath(path, "results.jsonl");
  const std::string summary = JoinPath(path, "summary.json");
  folder.is_bench = files.Exists(results);
  if (folder.is_bench) {
    RETURN_IF_ERROR(ReadResults(files, results, folder));
    ReadBench(files, folder);
  } else if (files.Exists(summary)) {
    RETURN_IF_ERROR(ReadSummary(files, summary, folder));
  } else {
    return Neither(files, path);
  }
  return folder;
}

}  // namespace monsoon
