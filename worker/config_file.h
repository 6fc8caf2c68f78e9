// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/filesystem.h"
#include "worker/options.h"

namespace monsoon {

// Reads a TOML file whose keys are the flags without dashes, with a [set] table
// for hyper-parameters, into `options`, and notes what was given.
// INVALID_ARGUMENT names file:line(:column), what was found and what is
// accepted. The one place where toml++'s exceptions are caught.
absl::Status ReadConfigFile(const std::string& path, FileSystem& files,
                            Options& options);

// The file that repeats a run: `monsoon train --config FILE`. Every
// hyper-parameter of the trainer is in its [set] table; the run folder is left
// out, because it cannot be the same again. `options` are resolved.
absl::StatusOr<std::string> ConfigText(const Options& options);

}  // namespace monsoon
