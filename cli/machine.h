// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/filesystem.h"

namespace monsoon {

// What a measured time depends on beside the program: {"processor", "cores",
// "frequency_mhz", "governor", "memory_bytes", "os", "kernel", "load_before",
// "versions"}, the versions with the commit of this program. Null: the system
// does not say. `frequency_mhz` is that of the first core now, `governor` what
// chooses it, `load_before` the load average of the last minute.
nlohmann::ordered_json DescribeMachine(FileSystem& files);

}  // namespace monsoon
