// SPDX-License-Identifier: Apache-2.0
#include "cli/machine_checks.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/system_files.h"

using namespace monsoon;

namespace {

// Files that are these and no others.
class FakeFiles final : public FileSystem {
 public:
  explicit FakeFiles(std::map<std::string, std::string> files)
      : files_(std::move(files)) {}

  std::string& operator[](const std::string& path) { return files_[path]; }

  absl::StatusOr<std::string> Read(const std::string& path) override {
    const auto it = files_.find(path);
    if (it != files_.end()) return it->second;
    return absl::NotFoundError(path);
  }
  bool Exists(const std::string& path) override {
    return files_.contains(path);
  }
  absl::StatusOr<std::vector<std::string>> List(
      const std::string& folder) override {
    std::set<std::string> names;
    for (const auto& [path, text] : files_) {
      absl::string_view rest = path;
      if (!absl::ConsumePrefix(&rest, folder + "/")) continue;
      names.emplace(rest.substr(0, rest.find('/')));
    }
    return std::vector<std::string>(names.begin(), names.end());
  }
  absl::Status Write(const std::string&, absl::string_view) override {
    return absl::UnimplementedError("doctors only look");
  }
  absl::Status Append(const std::string&, absl::string_view) override {
    return absl::UnimplementedError("doctors only look");
  }
  absl::Status MakeFolder(const std::string&) override {
    return absl::UnimplementedError("doctors only look");
  }

 private:
  std::map<std::string, std::string> files_;
};

// A machine of which nothing bad is to be said: four cores, 16 GiB.
FakeFiles Healthy() {
  std::string cpuinfo;
  for (int i = 0; i < 4; ++i) {
    absl::StrAppend(&cpuinfo, "processor\t: ", i,
                    "\nmodel name\t: Test 9000\nflags\t\t: fpu avx2 fma "
                    "avx512f avx512_bf16 amx_bf16\n\n");
  }
  return FakeFiles(
      {{"/proc/cpuinfo", cpuinfo},
       {"/proc/self/status", "Name:\tdoctor\nCpus_allowed_list:\t0-3\n"},
       {"/proc/self/cgroup", "0::/\n"},
       {"/proc/loadavg", "0.25 1.00 3.00 1/200 4711\n"},
       {"/proc/meminfo",
        "MemTotal:       16777216 kB\nMemFree:  1 kB\n"
        "MemAvailable:    8388608 kB\n"},
       {"/proc/self/limits",
        "Limit                     Soft Limit   Hard Limit   Units\n"
        "Max processes             1000         2000         processes\n"
        "Max open files            1024         524288       files\n"},
       {"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        "performance\n"},
       {"/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor",
        "performance\n"}});
}

Readings Good() {
  return {.needed_features = {"avx2", "fma"},
          .shared_memory = absl::OkStatus(),
          .wall_clock =
              absl::FromCivil(absl::CivilDay(2026, 3, 4), absl::UTCTimeZone()),
          .clock_resolution = absl::Nanoseconds(1)};
}

Check Find(const Checks& checks, const std::string& name) {
  for (const Check& check : checks) {
    if (check.name == name) return check;
  }
  FAIL("no check " << name);
  return {};
}

// Who fails must say what to do; who is good need not.
void CheckAdvice(const Checks& checks) {
  for (const Check& check : checks) {
    INFO(check.name << ": " << check.found);
    CHECK_FALSE(check.found.empty());
    CHECK(check.advice.empty() == (check.verdict == Verdict::kGood));
  }
}

Checks All(FakeFiles& files, const Readings& readings) {
  Checks all;
  for (const Checks& some :
       {CheckProcessor(files, readings), CheckMemory(files, readings),
        CheckLimits(files), CheckClock(readings), CheckGpu(files, "none", 0)}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  CheckAdvice(all);
  return all;
}

Check Of(FakeFiles& files, const std::string& name,
         const Readings& readings = Good()) {
  return Find(All(files, readings), name);
}

using Catch::Contains;

}  // namespace

TEST_CASE("of a healthy machine everything is good") {
  FakeFiles files = Healthy();
  for (const Check& check : All(files, Good())) {
    INFO(check.section << " " << check.name << ": " << check.found);
    CHECK(check.verdict == Verdict::kGood);
  }
  CHECK(Of(files, "model").found == "Test 9000");
  CHECK(Of(files, "cores").found == "4 of 4");
  CHECK_THAT(Of(files, "bf16").found, Contains("amx_bf16"));
  CHECK_THAT(Of(files, "available").found, Contains("8.0 GiB of 16.0 GiB"));
  CHECK_THAT(Of(files, "available").expected, Contains("344 MiB"));
  CHECK_THAT(Of(files, "open files").found, Contains("336 workers"));
}

TEST_CASE("a system that says nothing is no reason to fail") {
  FakeFiles files({});
  for (const Check& check : All(files, Good())) {
    INFO(check.name);
    CHECK(check.verdict != Verdict::kBad);
  }
}

TEST_CASE("a processor without what the build uses is bad and named") {
  FakeFiles files = Healthy();
  files["/proc/cpuinfo"] =
      "processor : 0\nmodel name : Old\nflags : fpu avx2\n";
  const Check features = Of(files, "features");
  CHECK(features.verdict == Verdict::kBad);
  CHECK(features.found == "lacks fma");
  CHECK(features.expected == "avx2 fma");
  CHECK_THAT(features.advice, Contains("MONSOON_ARCH"));
  CHECK(Of(files, "bf16").verdict == Verdict::kNote);
  CHECK_THAT(Of(files, "bf16").advice, Contains("--precision fp32"));
  CHECK(Of(files, "wide vectors").verdict == Verdict::kNote);
}

TEST_CASE("cores that a process may not use are counted out") {
  FakeFiles files = Healthy();
  files["/proc/self/status"] = "Cpus_allowed_list:\t0,2-3\n";
  Check cores = Of(files, "cores");
  CHECK(cores.verdict == Verdict::kNote);
  CHECK(cores.found == "3 of 4");
  CHECK_THAT(cores.advice, Contains("at most 3 workers"));

  files["/proc/self/status"] = "Cpus_allowed_list:\t0-3\n";
  files["/proc/self/cgroup"] = "0::/pod/box\n";
  files["/sys/fs/cgroup/pod/box/cpu.max"] = "max 100000\n";
  CHECK(Of(files, "cores").verdict == Verdict::kGood);
  files["/sys/fs/cgroup/pod/cpu.max"] = "150000 100000\n";
  cores = Of(files, "cores");
  CHECK(cores.verdict == Verdict::kNote);
  CHECK_THAT(cores.found, Contains("1.5"));
  CHECK_THAT(cores.advice, Contains("at most 1 workers"));
}

TEST_CASE("limits of control groups, of both versions and in containers") {
  FakeFiles files = Healthy();
  SECTION("version 2: the lowest of all groups around") {
    files["/proc/self/cgroup"] = "0::/a/b\n";
    files["/sys/fs/cgroup/cpu.max"] = "400000 100000\n";
    files["/sys/fs/cgroup/a/cpu.max"] = "200000 100000\n";
    files["/sys/fs/cgroup/a/b/cpu.max"] = "300000 100000\n";
    files["/sys/fs/cgroup/a/memory.max"] = "1073741824\n";
    files["/sys/fs/cgroup/a/memory.current"] = "973741824\n";
    files["/sys/fs/cgroup/a/memory.stat"] = "anon 1\ninactive_file 100000000\n";
    files["/sys/fs/cgroup/a/b/memory.max"] = "max\n";
    files["/sys/fs/cgroup/a/b/pids.max"] = "50\n";
    files["/sys/fs/cgroup/a/b/pids.current"] = "20\n";
    const GroupLimits limits = ReadGroupLimits(files);
    CHECK(limits.cores == 2);
    CHECK(limits.memory_bytes == 1073741824);
    CHECK(limits.memory_left_bytes == 200000000);
    CHECK(limits.threads_left == 30);
    const Check memory = Of(files, "available");
    CHECK(memory.verdict == Verdict::kBad);  // 191 MiB
    CHECK_THAT(memory.found, Contains("191 MiB of 1.0 GiB left"));
    CHECK(Of(files, "threads").verdict == Verdict::kBad);
  }
  SECTION("version 1") {
    files["/proc/self/cgroup"] =
        "5:pids:/x\n4:memory:/docker/1\n3:cpu,cpuacct:/docker/1\n1:name=s:/\n";
    files["/sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us"] = "50000\n";
    files["/sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us"] = "100000\n";
    files["/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes"] =
        "9223372036854771712\n";
    files["/sys/fs/cgroup/memory/memory.limit_in_bytes"] = "2147483648\n";
    files["/sys/fs/cgroup/memory/memory.usage_in_bytes"] = "2147483648\n";
    const GroupLimits limits = ReadGroupLimits(files);
    CHECK(limits.cores == 0.5);
    CHECK(limits.memory_bytes == 2147483648);
    CHECK(limits.memory_left_bytes == 0);
    CHECK_FALSE(limits.threads_left.has_value());
  }
  SECTION("version 1 without a limit") {
    files["/proc/self/cgroup"] = "3:cpu:/\n";
    files["/sys/fs/cgroup/cpu/cpu.cfs_quota_us"] = "-1\n";
    files["/sys/fs/cgroup/cpu/cpu.cfs_period_us"] = "100000\n";
    CHECK_FALSE(ReadGroupLimits(files).cores.has_value());
  }
  SECTION("lines that are none") {
    files["/proc/self/cgroup"] = "nonsense\n0::no-path\n::\n";
    CHECK_FALSE(ReadGroupLimits(files).cores.has_value());
  }
}

TEST_CASE("too little memory is bad, whatever the machine has in all") {
  FakeFiles files = Healthy();
  files["/proc/meminfo"] = "MemTotal: 16777216 kB\nMemAvailable: 204800 kB\n";
  const Check memory = Of(files, "available");
  CHECK(memory.verdict == Verdict::kBad);
  CHECK_THAT(memory.found, Contains("200 MiB of 16.0 GiB"));

  Readings readings = Good();
  readings.shared_memory = absl::ResourceExhaustedError("cannot share");
  const Check shared = Of(files, "shared", readings);
  CHECK(shared.verdict == Verdict::kNote);
  CHECK_THAT(shared.advice, Contains("gRPC"));
}

TEST_CASE("a governor that saves power and a load are worth a note") {
  FakeFiles files = Healthy();
  files["/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor"] =
      "powersave\n";
  const Check governor = Of(files, "governor");
  CHECK(governor.verdict == Verdict::kNote);
  CHECK(governor.found == "performance, powersave");
  files["/proc/loadavg"] = "2.01 0.00 0.00 1/200 4711\n";
  CHECK(Of(files, "load").verdict == Verdict::kNote);
  files["/proc/loadavg"] = "2.00 9.00 9.00 1/200 4711\n";
  CHECK(Of(files, "load").verdict == Verdict::kGood);
}

TEST_CASE("how many files may be open says how many workers there may be") {
  FakeFiles files = Healthy();
  const auto with = [&files](const std::string& limit) {
    files["/proc/self/limits"] = "Max open files  " + limit + "  4096 files\n";
    return Of(files, "open files");
  };
  CHECK(with("unlimited").verdict == Verdict::kGood);
  CHECK(with("208").verdict == Verdict::kGood);
  CHECK(with("207").verdict == Verdict::kNote);
  CHECK_THAT(with("207").found, Contains("63 workers"));
  CHECK(with("22").verdict == Verdict::kNote);
  CHECK(with("21").verdict == Verdict::kBad);
  CHECK_THAT(with("21").advice, Contains("ulimit -n"));
  CHECK_THAT(with("3").found, Contains("0 workers"));
}

TEST_CASE("a clock that is wrong or coarse, and a GPU that stays unused") {
  FakeFiles files = Healthy();
  Readings readings = Good();
  readings.wall_clock = absl::UnixEpoch();
  CHECK(Of(files, "time", readings).verdict == Verdict::kBad);
  CHECK_THAT(Of(files, "time", readings).found, Contains("1970-01-01"));
  readings.clock_resolution = absl::Milliseconds(4);
  CHECK(Of(files, "resolution", readings).verdict == Verdict::kNote);
  files["/dev/nvidia0"] = "";
  CHECK(Of(files, "gpu").verdict == Verdict::kNote);
  CHECK_THAT(Of(files, "gpu").found, Contains("cuda: none"));
  CHECK_THAT(Of(files, "gpu").advice, Contains("built without CUDA"));
  const Check driver = CheckGpu(files, "13.0", 0).front();
  CHECK(driver.verdict == Verdict::kNote);
  CHECK_THAT(driver.advice, Contains("nvidia-smi"));
  const Check usable = CheckGpu(files, "13.0", 2).front();
  CHECK(usable.verdict == Verdict::kGood);
  CHECK(usable.found == "2 for --device cuda; cuda: 13.0");
}

TEST_CASE("numbers and lists of system files") {
  CHECK(NumberOf(" 12 kB\n") == 12 * 1024);
  CHECK(NumberOf("7\n") == 7);
  CHECK_FALSE(NumberOf("max\n").has_value());
  CHECK_FALSE(NumberOf("").has_value());
  CHECK(CountOfList("0-3,8") == 5);
  CHECK(CountOfList("5\n") == 1);
  CHECK(CountOfList("") == 0);
}

TEST_CASE("this machine's own readings make sense") {
  const Readings readings = TakeReadings();
  CHECK(readings.clock_resolution > absl::ZeroDuration());
  CHECK(readings.wall_clock > absl::FromUnixSeconds(1704067200));
  CHECK(readings.shared_memory.ok());
  // The program runs, so the processor has what it needs.
  const Check features =
      Find(CheckProcessor(RealFileSystem(), readings), "features");
  CHECK(features.verdict == Verdict::kGood);
}
