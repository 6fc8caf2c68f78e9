// SPDX-License-Identifier: Apache-2.0
//
// monsoon report: what benches and runs have shown, as a page, Markdown, CSV or
// JSON.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/filesystem.h"
#include "base/status_macros.h"
#include "cli/command.h"
#include "cli/report_command.h"
#include "report/build_report.h"
#include "report/report_formats.h"
#include "report/results.h"

namespace monsoon {
namespace {

constexpr char kProgram[] = "monsoon report";

struct Format {
  const char* ending;
  std::string (*write)(const Report& report);
};

constexpr Format kFormats[] = {{".html", FormatHtml},
                               {".md", FormatReportMarkdown},
                               {".csv", FormatReportCsv},
                               {".json", FormatReportJson}};

struct Arguments {
  std::vector<std::string> folders;
  std::vector<std::string> outs;
  bool json = false;
  std::string help;
};

// Null when no format has the ending.
const Format* FormatOf(const std::string& path) {
  for (const Format& format : kFormats) {
    if (absl::EndsWith(path, format.ending)) return &format;
  }
  return nullptr;
}

absl::Status Read(int argc, const char* const* argv, Arguments& arguments) {
  CLI::App app(
      "Makes one report of benches and runs: claims, charts, every run. The "
      "ending of --out says what it is written as; --out may be given several "
      "times.",
      kProgram);
  app.add_option("DIR", arguments.folders,
                 "folders that bench, train, launch or simulate have written");
  app.add_option("--out", arguments.outs,
                 "file to write: .html, .md, .csv or .json (default "
                 "report.html in the first DIR)")
      ->type_name("FILE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--json", arguments.json,
               "end stdout with one JSON object: files, runs, notices");
  RETURN_IF_ERROR(ParseCommandLine(app, argc, argv, arguments.help));
  if (!arguments.help.empty()) return absl::OkStatus();
  if (arguments.folders.empty()) {
    return absl::InvalidArgumentError(
        "found no folder, expected one or more: monsoon report DIR... --out "
        "report.html");
  }
  if (arguments.outs.empty()) {
    arguments.outs.push_back(
        JoinPath(arguments.folders.front(), "report.html"));
  }
  for (const std::string& out : arguments.outs) {
    if (FormatOf(out) == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("--out: found \"", out,
                       "\", expected a name that ends in .html, .md, .csv or "
                       ".json"));
    }
  }
  return absl::OkStatus();
}

void Say(absl::string_view kind, absl::string_view message) {
  std::fputs(absl::StrCat(kProgram, ": ", kind, ": ", message, "\n").c_str(),
             stderr);
}

// Writes every file that can be written; the first error.
absl::Status WriteAll(const std::vector<std::string>& outs,
                      const Report& report) {
  absl::Status status;
  for (const std::string& out : outs) {
    const absl::Status written =
        RealFileSystem().Write(out, FormatOf(out)->write(report));
    if (written.ok()) {
      std::printf("report: %s\n", out.c_str());
      continue;
    }
    // Not NOT_FOUND, which would say that data are missing.
    const absl::Status failure = absl::InternalError(
        absl::StrCat("--out: ", written.message(),
                     "; expected a folder that exists and may be written to"));
    if (!status.ok()) Say("error", failure.message());
    status.Update(failure);
  }
  return status;
}

absl::StatusOr<int> MakeReport(const Arguments& arguments) {
  FileSystem& files = RealFileSystem();
  std::vector<ResultFolder> folders;
  std::vector<std::string> missing;
  bool damaged = false;
  for (const std::string& path : arguments.folders) {
    absl::StatusOr<ResultFolder> folder = ReadResultFolder(files, path);
    if (!folder.ok()) {
      missing.emplace_back(folder.status().message());
      continue;
    }
    FillCommands(files, *folder);
    damaged = damaged || folder->damaged;
    folders.push_back(*std::move(folder));
  }
  const Report report = BuildReport(folders, missing);
  if (report.runs.empty()) {
    for (size_t i = 0; i + 1 < report.notices.size(); ++i) {
      Say("error", report.notices[i]);
    }
    return absl::DataLossError(
        report.notices.empty()
            ? "the folders hold no run that has ended; a report needs one"
            : report.notices.back());
  }
  for (const std::string& notice : report.notices) Say("notice", notice);
  RETURN_IF_ERROR(WriteAll(arguments.outs, report));
  if (arguments.json) {
    const int64_t done =
        std::count_if(report.runs.begin(), report.runs.end(),
                      [](const RunSummary& run) { return run.done(); });
    const nlohmann::ordered_json line = {{"out", arguments.outs},
                                         {"runs", report.runs.size()},
                                         {"done", done},
                                         {"notices", report.notices.size()}};
    std::printf("%s\n",
                line.dump(-1, ' ', false,
                          nlohmann::ordered_json::error_handler_t::replace)
                    .c_str());
  }
  return damaged || !missing.empty() ? ExitCode(absl::DataLossError("")) : 0;
}

int RunReport(int argc, const char* const* argv) {
  return RunCommand(kProgram, argc, argv, Read, MakeReport);
}

const RegisterCommand kReport(
    "report",
    {.help = "a page with the charts of benches and runs", .run = RunReport});

}  // namespace
}  // namespace monsoon
