// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/strings/string_view.h"

namespace monsoon {

// The files that the live page is made of, embedded when the program was built
// (cmake/embed.cmake). They live as long as the program.

absl::string_view LivePageTemplate();  // live.html
absl::string_view LivePageStyle();     // live.css
absl::string_view LivePageScript();    // live.js
absl::string_view LivePageCharts();    // chart.min.js of libjs-chart.js
absl::string_view ReportPageStyle();   // report.css: both look the same

}  // namespace monsoon
