// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace monsoon {

namespace {

double SecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) +
         1e-6 * static_cast<double>(time.tv_usec);
}

// The fields of a file of the kernel that counts; 0 where there is none.
class Fields {
 public:
  explicit Fields(const char* path, char after = '\0') {
    std::ifstream file(path);
    std::string text(std::istreambuf_iterator<char>(file), {});
    if (after != '\0') text.erase(0, text.rfind(after) + 1);
    fields_ = absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  }
  int64_t at(size_t index) const {
    int64_t value = 0;
    const bool known =
        index < fields_.size() && absl::SimpleAtoi(fields_[index], &value);
    return known ? value : 0;
  }
  // What follows the field `name`.
  int64_t after(const std::string& name) const {
    const auto it = std::find(fields_.begin(), fields_.end(), name);
    return it == fields_.end()
               ? 0
               : at(static_cast<size_t>(it - fields_.begin()) + 1);
  }

 private:
  std::vector<std::string> fields_;
};

}  // namespace

double CpuSeconds(const rusage& usage) {
  return SecondsOf(usage.ru_utime) + SecondsOf(usage.ru_stime);
}

ProcessInfo ThisProcess() {
  char host[256] = "";
  if (::gethostname(host, sizeof(host) - 1) != 0) host[0] = '\0';
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return {host, ::getpid(), int64_t{usage.ru_maxrss} * 1024, CpuSeconds(usage)};
}

ProcessUse UseOfThisProcess() {
  ProcessUse use;
  use.rss_bytes = Fields("/proc/self/statm").at(1) * ::sysconf(_SC_PAGESIZE);
  std::error_code ignored;
  const std::filesystem::directory_iterator open("/proc/self/fd", ignored);
  // One of them is that of the folder.
  use.open_files =
      std::max<int64_t>(0, std::distance(begin(open), end(open)) - 1);
  // The name of the program, in parentheses, may hold blanks; 19 fields on is
  // the start, in ticks since the machine's own.
  const int64_t ticks = Fields("/proc/self/stat", ')').at(19);
  use.started = absl::FromUnixSeconds(Fields("/proc/stat").after("btime")) +
                absl::Seconds(static_cast<double>(ticks) /
                              static_cast<double>(::sysconf(_SC_CLK_TCK)));
  return use;
}

}  // namespace monsoon
