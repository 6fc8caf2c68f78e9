// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/filesystem.h"

namespace monsoon {

// What a measured time depends on beside the program: {"processor", "cores",
// "memory_bytes", "os", "kernel", "load_before", "versions"}. Null: the system
// does not say. `load_before` is the load average of the last minute.
nlohmann::ordered_json DescribeMachine(FileSystem& files);

}  // namespace monsoon
