// SPDX-License-Identifier: Apache-2.0
#include "report/results.h"

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

void Damaged(ResultFolder& folder, const std::string& notice) {
  folder.notices.push_back(notice);
  folder.damaged = true;
}

// Which fields are missing -> in which summaries: a whole bench of another
// version is one notice.
using Missing = std::map<std::string, std::vector<std::string>>;

// Adds the run of one summary; `where` names it in notices.
void AddRun(ResultFolder& folder, absl::string_view text,
            const std::string& where, const std::string& name,
            Missing& missing) {
  std::vector<std::string> fields;
  absl::StatusOr<RunSummary> run = ParseRunSummary(text, fields);
  if (!run.ok()) {
    Damaged(folder, absl::StrCat(where, ": ", run.status().message(),
                                 "; the run is left out: make it again"));
    return;
  }
  if (!fields.empty()) missing[absl::StrJoin(fields, ", ")].push_back(where);
  run->folder = folder.path;
  run->is_bench = folder.is_bench;
  run->name = name;
  folder.runs.push_back(*std::move(run));
  folder.summaries.push_back(Json::parse(text, nullptr, false));
}

void NoteMissing(const Missing& missing, ResultFolder& folder) {
  for (const auto& [fields, places] : missing) {
    folder.notices.push_back(absl::StrCat(
        places.front(),
        places.size() == 1
            ? ""
            : absl::StrCat(" and ", places.size() - 1, " more of its lines"),
        ": found no ", fields,
        ", expected what this version writes; shown without"));
  }
}

void ReadBenchFile(FileSystem& files, ResultFolder& folder) {
  const std::string path = JoinPath(folder.path, "bench.json");
  const absl::StatusOr<std::string> text = files.Read(path);
  if (!text.ok()) {
    Damaged(folder, absl::StrCat(text.status().message(),
                                 "; expected the machine and the matrix of the "
                                 "bench, which are shown as unknown"));
    return;
  }
  const Json bench = Json::parse(*text, nullptr, false);
  if (!bench.is_object()) {
    Damaged(folder,
            absl::StrCat("\"", path, "\": found \"", text->substr(0, 60),
                         "\", expected a JSON object with \"machine\" "
                         "and \"matrix\"; both are shown as unknown"));
    return;
  }
  if (bench.contains("machine")) folder.machine = bench["machine"];
  if (bench.contains("matrix")) folder.matrix = bench["matrix"];
}

void ReadBenchRuns(ResultFolder& folder, const std::string& path,
                   const std::string& text) {
  // A line counts once its newline is there, as for the bench itself.
  const size_t whole = text.rfind('\n') + 1;  // 0 when there is none
  const std::vector<absl::string_view> lines =
      absl::StrSplit(absl::string_view(text).substr(0, whole), '\n');
  Missing missing;
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    AddRun(folder, lines[i], absl::StrCat("\"", path, "\", line ", i + 1),
           absl::StrCat("line ", i + 1), missing);
  }
  NoteMissing(missing, folder);
  if (whole < text.size()) {
    folder.notices.push_back(absl::StrCat(
        "\"", path,
        "\": found a last line that is half written, expected a "
        "newline at its end; it is left out: the same bench command goes on "
        "and makes its run again"));
  }
}

}  // namespace

absl::StatusOr<ResultFolder> ReadResultFolder(FileSystem& files,
                                              const std::string& given) {
  ResultFolder folder;
  folder.path = given;
  while (folder.path.size() > 1 && folder.path.back() == '/') {
    folder.path.pop_back();
  }
  const std::string bench = JoinPath(folder.path, "bench.json");
  const std::string results = JoinPath(folder.path, "results.jsonl");
  const std::string summary = JoinPath(folder.path, "summary.json");
  const std::string metrics = JoinPath(folder.path, "metrics.jsonl");
  if (!files.Exists(folder.path)) {
    return absl::NotFoundError(absl::StrCat(
        "\"", folder.path,
        "\": found no such folder, expected one that "
        "monsoon bench, train, launch or simulate has written; see its --out"));
  }
  folder.is_bench = files.Exists(bench) || files.Exists(results);
  if (folder.is_bench) {
    ReadBenchFile(files, folder);
    const absl::StatusOr<std::string> text = files.Read(results);
    if (text.ok()) {
      ReadBenchRuns(folder, results, *text);
    } else {
      Damaged(folder,
              absl::StrCat(text.status().message(),
                           "; expected the results of the bench: has one of "
                           "its runs ended?"));
    }
    return folder;
  }
  if (files.Exists(summary)) {
    ASSIGN_OR_RETURN(std::string text, files.Read(summary));
    absl::StripTrailingAsciiWhitespace(&text);
    Missing missing;
    AddRun(folder, text, absl::StrCat("\"", summary, "\""), "", missing);
    NoteMissing(missing, folder);
    const auto losses = files.Read(metrics);
    if (losses.ok() && !folder.runs.empty()) {
      folder.runs.back().losses = ParseLosses(*losses);
    }
    return folder;
  }
  return absl::NotFoundError(absl::StrCat(
      "\"", folder.path, "\": found ",
      files.Exists(metrics) ? "metrics.jsonl without a summary.json: the run "
                              "has not ended, or was killed"
                            : "neither bench.json nor summary.json",
      "; expected a folder of monsoon bench, or of a run that has ended"));
}

}  // namespace monsoon
