// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/filesystem.h"
#include "cli/check.h"
#include "transport/address.h"

namespace monsoon {

// Whether a server could listen there, else why not and, where /proc tells, who
// does. `is_asked`: a person named the address; else it is what a server takes
// by itself, and one that is there already is worth a note alone.
Checks CheckPort(FileSystem& files, const Address& listen, bool is_asked);

}  // namespace monsoon
