// SPDX-License-Identifier: Apache-2.0
#include "cli/system_files.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace monsoon {
namespace {

// Version 1 says "no limit" with a number like this, rounded to pages.
constexpr int64_t kNoLimit = int64_t{1} << 60;

template <typename T>
void Lower(std::optional<T>& least, T value) {
  least = std::min(least.value_or(value), value);
}

// A file that holds one number, or "max" for none.
std::optional<int64_t> NumberIn(FileSystem& files, const std::string& path) {
  const auto text = files.Read(path);
  return text.ok() ? NumberOf(*text) : std::nullopt;
}

// The names of the files of one version.
struct MemoryFiles {
  const char *limit, *used, *droppable;
};
constexpr MemoryFiles kMemory2 = {"/memory.max", "/memory.current",
                                  "inactive_file"};
constexpr MemoryFiles kMemory1 = {
    "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"};

void AddMemory(FileSystem& files, const std::string& folder,
               const MemoryFiles& names, GroupLimits& limits) {
  const auto limit = NumberIn(files, folder + names.limit);
  if (!limit || *limit >= kNoLimit) return;
  Lower(limits.memory_bytes, *limit);
  const auto used = NumberIn(files, folder + names.used);
  if (!used) return;
  const auto droppable = NumberOf(
      FieldOfFile(files, folder + "/memory.stat", names.droppable, ' '));
  const int64_t kept = std::max<int64_t>(*used - droppable.value_or(0), 0);
  Lower(limits.memory_left_bytes, std::max<int64_t>(*limit - kept, 0));
}

void AddCores(std::optional<int64_t> quota, std::optional<int64_t> period,
              GroupLimits& limits) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return;
  Lower(limits.cores,
        static_cast<double>(*quota) / static_cast<double>(*period));
}

void AddCores2(FileSystem& files, const std::string& folder,
               GroupLimits& limits) {
  const std::string text = files.Read(folder + "/cpu.max").value_or("");
  const std::pair<std::string, std::string> both =
      absl::StrSplit(text, absl::MaxSplits(' ', 1));
  AddCores(NumberOf(both.first), NumberOf(both.second), limits);
}

void AddThreads(FileSystem& files, const std::string& folder,
                GroupLimits& limits) {
  const auto most = NumberIn(files, folder + "/pids.max");
  if (!most) return;
  const auto now = NumberIn(files, folder + "/pids.current");
  Lower(limits.threads_left, std::max<int64_t>(*most - now.value_or(0), 0));
}

// `controller` of version 1; empty: all of version 2.
void Add(FileSystem& files, absl::string_view controller,
         const std::string& folder, GroupLimits& limits) {
  const bool all = controller.empty();
  if (all) AddCores2(files, folder, limits);
  if (all) AddMemory(files, folder, kMemory2, limits);
  if (all || controller == "pids") AddThreads(files, folder, limits);
  if (controller == "cpu") {
    AddCores(NumberIn(files, folder + "/cpu.cfs_quota_us"),
             NumberIn(files, folder + "/cpu.cfs_period_us"), limits);
  }
  if (controller == "memory") AddMemory(files, folder, kMemory1, limits);
}

}  // namespace

std::string FieldOfFile(FileSystem& files, const std::string& path,
                        absl::string_view key, char separator) {
  const std::string text = files.Read(path).value_or("");
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(separator, 1));
    if (absl::StripAsciiWhitespace(field.first) != key) continue;
    return std::string(absl::StripAsciiWhitespace(field.second));
  }
  return "";
}

std::optional<int64_t> NumberOf(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  const int64_t unit = absl::ConsumeSuffix(&text, " kB") ? 1024 : 1;
  int64_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number * unit;
}

int CountOfList(absl::string_view list) {
  int count = 0;
  for (const absl::string_view range : absl::StrSplit(list, ',')) {
    const std::pair<absl::string_view, absl::string_view> ends =
        absl::StrSplit(range, absl::MaxSplits('-', 1));
    int first = 0, last = 0;
    if (!absl::SimpleAtoi(ends.first, &first)) continue;
    if (!absl::SimpleAtoi(ends.second, &last)) last = first;
    count += last - first + 1;
  }
  return count;
}

GroupLimits ReadGroupLimits(FileSystem& files) {
  GroupLimits limits;
  const std::string groups = files.Read("/proc/self/cgroup").value_or("");
  for (const absl::string_view line : absl::StrSplit(groups, '\n')) {
    // "0::/a/b", or "4:cpu,cpuacct:/a/b" for version 1.
    const std::vector<std::string> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() < 3) continue;
    for (const absl::string_view controller : absl::StrSplit(parts[1], ',')) {
      const std::string root = absl::StrCat(
          "/sys/fs/cgroup", controller.empty() ? "" : "/", controller);
      // In a container the path may be that outside of it: then only the root
      // is there, and is the container's.
      std::string path = parts[2].starts_with('/') ? parts[2] : "";
      if (path == "/") path.clear();
      for (; !path.empty(); path.resize(path.rfind('/'))) {
        Add(files, controller, root + path, limits);
      }
      Add(files, controller, root, limits);
    }
  }
  return limits;
}

std::optional<double> ReadLoad(FileSystem& files) {
  const std::string text = files.Read("/proc/loadavg").value_or("");
  double load = 0;
  if (!absl::SimpleAtod(text.substr(0, text.find(' ')), &load)) {
    return std::nullopt;
  }
  return load;
}

}  // namespace monsoon
