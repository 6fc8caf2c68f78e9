// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/filesystem.h"

namespace monsoon {

// Writes report.html into the folder of a run that has ended, as `monsoon
// report FOLDER` does; an empty path or a folder that was not made is passed
// over. What goes wrong is said on stderr, behind `program`: the run is what it
// was.
void WriteRunReport(const std::string& program, const std::string& folder,
                    FileSystem& files);

}  // namespace monsoon
