// SPDX-License-Identifier: Apache-2.0
#include "cli/run_report.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/report_command.h"
#include "report/build_report.h"
#include "report/report_formats.h"
#include "report/results.h"

namespace monsoon {
namespace {

absl::Status Write(const std::string& path, FileSystem& files) {
  ASSIGN_OR_RETURN(ResultFolder folder, ReadResultFolder(files, path));
  FillCommands(files, folder);
  return files.Write(JoinPath(path, "report.html"),
                     FormatHtml(BuildReport({&folder, 1}, {})));
}

}  // namespace

void WriteRunReport(const std::string& program, const std::string& folder,
                    FileSystem& files) {
  if (!files.Exists(JoinPath(folder, "summary.json"))) return;
  const absl::Status status = Write(folder, files);
  if (status.ok()) return;
  std::fputs(
      absl::StrCat(program, ": warning: report.html: ", status.message(), "\n")
          .c_str(),
      stderr);
}

}  // namespace monsoon
