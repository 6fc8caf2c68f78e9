// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_folder.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

// A value from a command line may be no UTF-8, at which dump() would throw.
std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string Shown(const Json& object, const std::string& key) {
  const auto found = object.find(key);
  return found == object.end() ? "not set" : Dump(*found, -1);
}

// INVALID_ARGUMENT naming the keys of `ours` and `theirs` that differ.
absl::Status Compare(const std::string& folder, const Json& theirs,
                     const Json& ours) {
  Json keys = theirs;
  keys.update(ours);
  std::string differs;
  for (const auto& [key, value] : keys.items()) {
    if (Shown(theirs, key) == Shown(ours, key)) continue;
    absl::StrAppend(&differs, differs.empty() ? "" : "; ", key, " is ",
                    Shown(theirs, key), " there, ", Shown(ours, key), " here");
  }
  if (differs.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--out \"", folder, "\" holds another bench: ", differs,
                   "; repeat its flags to go on with it, or name another "
                   "folder"));
}

absl::Status CheckMatrix(FileSystem& files, const std::string& folder,
                         const Json& matrix) {
  const std::string path = JoinPath(folder, "bench.json");
  ASSIGN_OR_RETURN(const std::string text, files.Read(path));
  const Json bench = Json::parse(text, nullptr, false);
  if (!bench.is_object() || !bench.contains("matrix") ||
      !bench["matrix"].is_object()) {
    return absl::DataLossError(
        absl::StrCat("\"", path,
                     "\": expected a JSON object with a \"matrix\"; remove "
                     "the folder, or name another one with --out"));
  }
  return Compare(folder, bench["matrix"], matrix);
}

absl::StatusOr<std::vector<BenchRow>> ReadResults(FileSystem& files,
                                                  const std::string& path) {
  std::vector<BenchRow> rows;
  if (!files.Exists(path)) return rows;
  ASSIGN_OR_RETURN(const std::string text, files.Read(path));
  // A line counts once its newline is there: what follows the last one was
  // being written when the bench was killed.
  const size_t whole = text.rfind('\n') + 1;  // 0 when there is none
  if (whole < text.size()) {
    RETURN_IF_ERROR(files.Write(path, text.substr(0, whole)));
  }
  const std::vector<absl::string_view> lines =
      absl::StrSplit(absl::string_view(text).substr(0, whole), '\n');
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    absl::StatusOr<BenchRow> row = ParseBenchRow(lines[i]);
    if (!row.ok()) {
      return absl::DataLossError(absl::StrCat(
          "\"", path, "\", line ", i + 1, ": ", row.status().message(),
          "; remove the line, and its run is done again"));
    }
    rows.push_back(*std::move(row));
  }
  return rows;
}

}  // namespace

absl::StatusOr<std::vector<BenchRow>> OpenBenchFolder(FileSystem& files,
                                                      const std::string& folder,
                                                      const Json& matrix,
                                                      const Json& machine) {
  const std::string bench = JoinPath(folder, "bench.json");
  const std::string results = JoinPath(folder, "results.jsonl");
  if (files.Exists(bench)) {
    RETURN_IF_ERROR(CheckMatrix(files, folder, matrix));
    return ReadResults(files, results);
  }
  if (files.Exists(results)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--out \"", folder,
                     "\" has a results.jsonl, but no bench.json that says of "
                     "what; name another folder"));
  }
  RETURN_IF_ERROR(files.MakeFolder(folder));
  const Json contents = {{"machine", machine}, {"matrix", matrix}};
  RETURN_IF_ERROR(files.Write(bench, absl::StrCat(Dump(contents, 2), "\n")));
  return std::vector<BenchRow>();
}

absl::Status AppendResult(FileSystem& files, const std::string& folder,
                          absl::string_view line) {
  return files.Append(JoinPath(folder, "results.jsonl"),
                      absl::StrCat(line, "\n"));
}

absl::Status ReplaceResult(FileSystem& files, const std::string& folder,
                           size_t index, absl::string_view line) {
  const std::string path = JoinPath(folder, "results.jsonl");
  ASSIGN_OR_RETURN(const std::string text, files.Read(path));
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  // Behind the last newline is one more, empty.
  if (index + 1 >= lines.size()) {
    return absl::InternalError(absl::StrCat("\"", path, "\" has no line ",
                                            index + 1,
                                            ": has something changed it?"));
  }
  // First, so that a kill between the two loses nothing.
  RETURN_IF_ERROR(files.Append(JoinPath(folder, "disturbed.jsonl"),
                               absl::StrCat(lines[index], "\n")));
  lines[index] = line;
  return files.Write(path, absl::StrJoin(lines, "\n"));
}

}  // namespace monsoon
