// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/filesystem.h"
#include "report/results.h"

namespace monsoon {

// Fills in the `command` of every run of the folder: `monsoon train`, `launch`
// or `simulate` with the flags that repeat it, ready for a shell. They are what
// its summary says, what the matrix of its bench adds and, of a run folder, its
// config.toml; flags that are at their defaults are left out.
void FillCommands(FileSystem& files, ResultFolder& folder);

}  // namespace monsoon
