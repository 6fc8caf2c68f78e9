// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "report/report.h"
#include "report/results.h"

namespace monsoon {

// All that a report says about what the folders hold, with their notices before
// `notices`. The same folders in the same order give the same report: it holds
// no time and no random number.
Report BuildReport(absl::Span<const ResultFolder> folders,
                   const std::vector<std::string>& notices);

}  // namespace monsoon
