// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "report/report.h"

namespace monsoon {

// A report in the formats that people and programs read. All of them hold the
// same claims and numbers; whatever texts the report got from files come out as
// text. In UTF-8: of texts that are not, JSON gets mended ones.

// One page that needs nothing beside it: styles, script and Chart.js are
// inside.
std::string FormatHtml(const Report& report);
// GitHub's Markdown, its longer tables folded.
std::string FormatReportMarkdown(const Report& report);
// {"summary", "notices", "chapters": [{"title", "claims", "figures"}], "runs",
// "machines", "rules"}
std::string FormatReportJson(const Report& report);
// A line per run.
std::string FormatReportCsv(const Report& report);

}  // namespace monsoon
