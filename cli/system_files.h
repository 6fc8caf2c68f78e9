// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/filesystem.h"

// What Linux says of itself in /proc and /sys, as far as several places ask.
namespace monsoon {

// What follows `key` and `separator` on the first line of the file that has
// them; "" when none has, or there is no such file.
std::string FieldOfFile(FileSystem& files, const std::string& path,
                        absl::string_view key, char separator = ':');

// Of "1024", or "26314 kB" (then times 1024); nothing for what is no number.
std::optional<int64_t> NumberOf(absl::string_view text);

// How many a list as "0-3,8" names.
int CountOfList(absl::string_view list);

// What the control groups of this process allow it: its own and all around it,
// of version 1 or 2. Empty: no limit, or none that can be seen.
struct GroupLimits {
  std::optional<double> cores;  // seconds of processor time a second
  std::optional<int64_t> memory_bytes;
  // Until that limit; pages of files that can be dropped count as free.
  std::optional<int64_t> memory_left_bytes;
  std::optional<int64_t> threads_left;
};
GroupLimits ReadGroupLimits(FileSystem& files);

// The average load of the last minute; nothing where the system does not say.
std::optional<double> ReadLoad(FileSystem& files);

}  // namespace monsoon
