// SPDX-License-Identifier: Apache-2.0
#include "cli/disturbance.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace monsoon {
namespace {

// Columns of a line of /proc/stat behind its name, see proc(5). The guests' are
// in user and nice already.
enum Column : size_t {
  kUser,
  kNice,
  kSystem,
  kIdle,
  kIowait,
  kIrq,
  kSoftirq,
  kSteal,
  kColumns
};

// The columns of "cpu3 ..." for a core of `cores`; none for another line.
std::vector<int64_t> ColumnsOf(absl::string_view line,
                               const std::set<int>& cores) {
  std::vector<absl::string_view> words =
      absl::StrSplit(line, ' ', absl::SkipEmpty());
  int core = 0;
  if (words.size() <= kColumns || !absl::ConsumePrefix(&words[0], "cpu") ||
      !absl::SimpleAtoi(words[0], &core) || !cores.contains(core)) {
    return {};
  }
  std::vector<int64_t> columns(kColumns);
  for (size_t i = 0; i < kColumns; ++i) {
    if (!absl::SimpleAtoi(words[i + 1], &columns[i])) return {};
  }
  return columns;
}

}  // namespace

std::optional<ProcessorTimes> ParseProcessorTimes(absl::string_view text,
                                                  const std::set<int>& cores,
                                                  double ticks) {
  ProcessorTimes times;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<int64_t> columns = ColumnsOf(line, cores);
    if (columns.empty()) continue;
    ++times.cores;
    int64_t busy = 0;
    for (const Column one : {kUser, kNice, kSystem, kIrq, kSoftirq}) {
      busy += columns[one];
    }
    times.busy_s += static_cast<double>(busy) / ticks;
    times.steal_s += static_cast<double>(columns[kSteal]) / ticks;
  }
  if (times.cores == 0) return std::nullopt;
  return times;
}

std::optional<ProcessorTimes> ReadProcessorTimes(FileSystem& files) {
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return ParseProcessorTimes(files.Read("/proc/stat").value_or(""),
                             AllowedCores(), ticks);
}

std::set<int> AllowedCores() {
  std::set<int> cores;
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &allowed)) cores.insert(core);
  }
  return cores;
}

std::string DisturbanceText(double other_load, double steal) {
  std::string text =
      absl::StrFormat("other processes used %.2f of a core", other_load);
  if (steal > kMostStolen) {
    absl::StrAppendFormat(&text, ", %.1f %% of the processors' time was stolen",
                          100 * steal);
  }
  return text;
}

std::optional<Disturbance> MeasureDisturbance(
    const std::optional<ProcessorTimes>& before,
    const std::optional<ProcessorTimes>& after, double own_s, double wall_s) {
  if (!before.has_value() || !after.has_value() || wall_s <= 0) {
    return std::nullopt;
  }
  const double busy_s = after->busy_s - before->busy_s;
  const double steal_s = after->steal_s - before->steal_s;
  // The kernel counts a process's time to the microsecond and the machine's in
  // ticks: what is left of an idle machine can be a little below 0.
  return Disturbance{.other_load = std::max(0.0, (busy_s - own_s) / wall_s),
                     .steal = std::max(0.0, steal_s / (wall_s * after->cores)),
                     .cores = after->cores};
}

}  // namespace monsoon
