// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "worker/options.h"

namespace monsoon {

// Resolved options as the flags that a process of the job is started with:
// every value, and `--set` for what was given. Left out are --servers, which
// is a number for some commands and addresses for others, and --out.
std::vector<std::string> JobArguments(const Options& options);

}  // namespace monsoon
