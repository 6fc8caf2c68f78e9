// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/strings/string_view.h"

namespace monsoon {

// The files that the page of a report is made of, embedded when the program was
// built (cmake/embed.cmake). They live as long as the program.

absl::string_view PageTemplate();  // report.html
absl::string_view PageStyle();     // report.css
absl::string_view PageScript();    // report.js
absl::string_view ChartLibrary();  // chart.min.js of libjs-chart.js

}  // namespace monsoon
