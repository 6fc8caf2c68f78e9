// SPDX-License-Identifier: Apache-2.0
#include "cli/machine_checks.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/size_text.h"
#include "cli/system_files.h"
#include "transport/local_socket.h"

namespace monsoon {
namespace {

constexpr char kCpuInfo[] = "/proc/cpuinfo";
constexpr int64_t kMiB = int64_t{1} << 20;

// A server of `cnn` with two workers, by the formula of docs/performance.md:
// 64 MiB, 4 MiB of parameters, and for each worker 24 shards of 1 MiB and
// 4 MiB; and what each worker takes (docs/doctor.md).
constexpr int64_t kServerBytes = (64 + 4 + 2 * (24 + 4)) * kMiB;
constexpr int64_t kWorkerBytes = 110 * kMiB;
constexpr int64_t kNeededBytes = kServerBytes + 2 * kWorkerBytes;
// What a server and a worker of this host share at most: four slots, each with
// an update and a reply of 4 MiB.
constexpr size_t kSharedBytes = size_t{32} << 20;

// Descriptors of a server: its own, and those of one worker of its host (a
// connection, a socket and the memory that both share).
constexpr int64_t kServerFiles = 16;
constexpr int64_t kWorkerFiles = 3;
constexpr int64_t kManyWorkers = 64;
// A server or worker has 11 to 16 threads, a job here at least three processes.
constexpr int64_t kFewThreads = 64;

std::string Size(int64_t bytes) { return SizeText(static_cast<double>(bytes)); }

void CheckFeatures(const std::set<std::string>& has, const Readings& readings,
                   Section& section) {
  std::vector<std::string> missing;
  for (const std::string& feature : readings.needed_features) {
    if (!has.contains(feature)) missing.push_back(feature);
  }
  const std::string needed = absl::StrJoin(readings.needed_features, " ");
  if (has.empty()) {
    section.Good("features", "the system does not name them", needed);
  } else if (missing.empty()) {
    section.Good("features", needed.empty()
                                 ? "this build needs none"
                                 : "all that this build uses: " + needed);
  } else {
    section.Bad("features", "lacks " + absl::StrJoin(missing, " "), needed,
                "programs end with \"Illegal instruction\": build for this "
                "processor with cmake -DMONSOON_ARCH=x86-64");
  }
  if (has.contains("avx512f")) {
    section.Good("wide vectors", "avx512f");
  } else {
    section.Note(
        "wide vectors", "no avx512f", "avx512f",
        "nothing is wrong: kernels take the widest vectors that there are, and "
        "the same build uses these on a processor that has them");
  }
  if (has.contains("avx512_bf16")) {
    section.Good("bf16", has.contains("amx_bf16") ? "avx512_bf16, amx_bf16"
                                                  : "avx512_bf16");
  } else {
    section.Note("bf16", "no avx512_bf16", "avx512_bf16",
                 "keep to --precision fp32, the default; --precision bf16 "
                 "needs AMD Zen 4, Intel Cooper Lake, Sapphire Rapids, or "
                 "later");
  }
}

int CountProcessors(const std::string& cpuinfo) {
  int count = 0;
  for (const absl::string_view line : absl::StrSplit(cpuinfo, '\n')) {
    const std::vector<absl::string_view> field = absl::StrSplit(line, ':');
    count += absl::StripAsciiWhitespace(field[0]) == "processor";
  }
  return count;
}

// Returns how many this process can keep busy.
double CheckCores(FileSystem& files, int machine, Section& section) {
  const int allowed =
      CountOfList(FieldOfFile(files, "/proc/self/status", "Cpus_allowed_list"));
  const auto quota = ReadGroupLimits(files).cores;
  if (machine == 0 || allowed == 0) {
    section.Good("cores", "the system does not say");
    return std::max(machine, 1);
  }
  std::string found = absl::StrFormat("%d of %d", allowed, machine);
  const double usable = std::min<double>(allowed, quota.value_or(allowed));
  if (usable < allowed) {
    absl::StrAppendFormat(&found, ", time of %.2g by the control group",
                          *quota);
  }
  if (usable >= machine) {
    section.Good("cores", found);
    return usable;
  }
  section.Note(
      "cores", found, absl::StrFormat("%d", machine),
      absl::StrFormat(
          "start at most %.0f workers of one thread here; more only wait for "
          "each other. What takes the rest: taskset or a cpuset, or the "
          "container's limit (podman --cpus, Kubernetes limits.cpu)",
          std::max(std::floor(usable), 1.0)));
  return usable;
}

void CheckGovernor(FileSystem& files, Section& section) {
  const std::string folder = "/sys/devices/system/cpu";
  std::set<std::string> found;
  for (const std::string& name :
       files.List(folder).value_or(std::vector<std::string>())) {
    const auto text = files.Read(
        absl::StrCat(folder, "/", name, "/cpufreq/scaling_governor"));
    if (text.ok()) found.insert(std::string(absl::StripAsciiWhitespace(*text)));
  }
  const std::string names = absl::StrJoin(found, ", ");
  if (found.empty()) {
    section.Good("governor",
                 "the system does not say, as is usual in a virtual machine");
  } else if (found == std::set<std::string>{"performance"}) {
    section.Good("governor", names);
  } else {
    section.Note("governor", names, "performance",
                 "times vary with the clock rate: before measuring, `cpupower "
                 "frequency-set -g performance`");
  }
}

void CheckLoad(FileSystem& files, double cores, Section& section) {
  const std::optional<double> load = ReadLoad(files);
  if (!load.has_value()) {
    section.Good("load", "the system does not say");
  } else if (*load <= cores / 2) {
    section.Good("load", absl::StrFormat("%.2f in the last minute", *load));
  } else {
    section.Note("load", absl::StrFormat("%.2f in the last minute", *load),
                 absl::StrFormat("at most %.3g", cores / 2),
                 "others compute here: see who with `top`, and measure when "
                 "they have ended");
  }
}

// A line of /proc/self/limits: the soft limit, nothing for "unlimited".
std::optional<int64_t> SoftLimit(FileSystem& files, absl::string_view name) {
  const std::string text = files.Read("/proc/self/limits").value_or("");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, name)) continue;
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    return words.empty() ? std::nullopt : NumberOf(words[0]);
  }
  return std::nullopt;
}

}  // namespace

Readings TakeReadings() {
  Readings readings;
  // As the compiler was told: -march.
  readings.needed_features = {
#ifdef __SSE4_2__
      "sse4_2",
#endif
#ifdef __AVX__
      "avx",
#endif
#ifdef __AVX2__
      "avx2",
#endif
#ifdef __FMA__
      "fma",
#endif
#ifdef __F16C__
      "f16c",
#endif
#ifdef __BMI2__
      "bmi2",
#endif
#ifdef __AVX512F__
      "avx512f",
#endif
#ifdef __AVX512VL__
      "avx512vl",
#endif
  };
  readings.shared_memory = SharedMemory::Create(kSharedBytes).status();
  readings.wall_clock = absl::Now();
  timespec resolution = {};
  ::clock_getres(CLOCK_MONOTONIC, &resolution);
  readings.clock_resolution = absl::DurationFromTimespec(resolution);
  return readings;
}

Checks CheckProcessor(FileSystem& files, const Readings& readings) {
  Section section("processor");
  const std::string model = FieldOfFile(files, kCpuInfo, "model name");
  section.Good("model", model.empty() ? "the system does not say" : model);
  const std::string flags = FieldOfFile(files, kCpuInfo, "flags");
  CheckFeatures(absl::StrSplit(flags, ' ', absl::SkipEmpty()), readings,
                section);
  const int machine = CountProcessors(files.Read(kCpuInfo).value_or(""));
  const double usable = CheckCores(files, machine, section);
  CheckGovernor(files, section);
  CheckLoad(files, usable, section);
  return section.checks();
}

Checks CheckMemory(FileSystem& files, const Readings& readings) {
  Section section("memory");
  const std::string path = "/proc/meminfo";
  const auto total = NumberOf(FieldOfFile(files, path, "MemTotal"));
  const auto available = NumberOf(FieldOfFile(files, path, "MemAvailable"));
  const GroupLimits group = ReadGroupLimits(files);
  if (!total || !available) {
    section.Good("available", "the system does not say");
  } else {
    int64_t usable = *available;
    std::string found = absl::StrCat(Size(*available), " of ", Size(*total));
    if (group.memory_bytes && *group.memory_bytes < *total) {
      const int64_t left = group.memory_left_bytes.value_or(usable);
      usable = std::min(usable, left);
      absl::StrAppend(&found, "; the control group has ", Size(left), " of ",
                      Size(*group.memory_bytes), " left");
    }
    const std::string expected = absl::StrCat(
        Size(kNeededBytes), " for the model cnn with 2 workers and 1 server");
    if (usable >= kNeededBytes) {
      section.Good("available", found, expected);
    } else {
      section.Bad("available", found, expected,
                  "end other programs, raise the container's limit, or start "
                  "servers and workers on several machines");
    }
  }
  if (readings.shared_memory.ok()) {
    section.Good("shared",
                 absl::StrCat("processes can share ", Size(kSharedBytes)));
  } else {
    section.Note("shared", std::string(readings.shared_memory.message()),
                 Size(kSharedBytes),
                 "workers exchange with servers of this host over gRPC, which "
                 "is slower; let the container have memory and memfd_create");
  }
  return section.checks();
}

Checks CheckLimits(FileSystem& files) {
  Section section("limits");
  const auto open = SoftLimit(files, "Max open files");
  if (!open) {
    section.Good("open files", "no limit");
  } else {
    const int64_t workers =
        std::max<int64_t>((*open - kServerFiles) / kWorkerFiles, 0);
    const std::string found =
        absl::StrFormat("%d: a server has room for %d workers", *open, workers);
    const std::string expected =
        absl::StrFormat("%d", kServerFiles + kManyWorkers * kWorkerFiles);
    const std::string advice =
        "raise it before servers start: `ulimit -n 4096`, LimitNOFILE= in a "
        "unit of systemd, --ulimit nofile= of a container";
    if (workers >= kManyWorkers) {
      section.Good("open files", found, expected);
    } else if (workers >= 2) {
      section.Note("open files", found, expected, advice);
    } else {
      section.Bad("open files", found, expected, advice);
    }
  }
  auto threads = ReadGroupLimits(files).threads_left;
  const auto own = SoftLimit(files, "Max processes");
  if (own) threads = std::min(*own, threads.value_or(*own));
  if (!threads) {
    section.Good("threads", "no limit");
  } else if (*threads >= kFewThreads) {
    section.Good("threads", absl::StrFormat("%d", *threads),
                 absl::StrFormat("%d", kFewThreads));
  } else {
    section.Bad(
        "threads", absl::StrFormat("%d", *threads),
        absl::StrFormat("%d: a server or worker has about 16", kFewThreads),
        "raise it: `ulimit -u`, TasksMax= in a unit of systemd, "
        "--pids-limit of a container");
  }
  return section.checks();
}

Checks CheckClock(const Readings& readings) {
  Section section("clock");
  const std::string resolution =
      absl::FormatDuration(readings.clock_resolution);
  if (readings.clock_resolution <= absl::Microseconds(1)) {
    section.Good("resolution", resolution, "1us");
  } else {
    section.Note("resolution", resolution, "1us",
                 "short times are measured coarsely: boot a kernel with "
                 "high-resolution timers");
  }
  const std::string now = absl::FormatTime(
      "%Y-%m-%d %H:%M:%S UTC", readings.wall_clock, absl::UTCTimeZone());
  const auto year =
      absl::ToCivilYear(readings.wall_clock, absl::UTCTimeZone()).year();
  if (year >= 2024) {
    section.Good("time", now);
  } else {
    section.Bad("time", now, "2024 or later",
                "run folders are named by it: set the clock (`timedatectl "
                "set-ntp true`, or `date --set`)");
  }
  return section.checks();
}

Checks CheckGpu(FileSystem& files, const std::string& cuda, int devices) {
  Section section("gpu");
  const std::string path = "/dev/nvidia0";
  const std::string built = absl::StrCat("; cuda: ", cuda);
  if (devices > 0) {
    section.Good("gpu", absl::StrCat(devices, " for --device cuda", built));
  } else if (!files.Exists(path)) {
    section.Good("gpu", absl::StrCat("none (no ", path, ")", built));
  } else if (cuda == "none") {
    section.Note("gpu", absl::StrCat(path, " is there", built), "",
                 "this program was built without CUDA and leaves it unused: "
                 "install the CUDA toolkit with cuDNN and build again "
                 "(docs/gpu.md)");
  } else {
    section.Note("gpu", absl::StrCat(path, " is there", built), "",
                 "CUDA finds no GPU: look at `nvidia-smi`; its driver must be "
                 "as new as CUDA");
  }
  return section.checks();
}

}  // namespace monsoon
