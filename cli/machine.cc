// SPDX-License-Identifier: Apache-2.0
#include "cli/machine.h"

#include <dnnl.h>
#include <grpcpp/grpcpp.h>
#include <sys/utsname.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/commit.h"
#include "cli/disturbance.h"
#include "cli/system_files.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

Json TextOrNull(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json Cores() {
  const size_t cores = AllowedCores().size();
  return cores == 0 ? Json() : Json(cores);
}

Json Frequency(FileSystem& files) {
  const std::string text = FieldOfFile(files, "/proc/cpuinfo", "cpu MHz", ':');
  double mhz = 0;
  if (!absl::SimpleAtod(text, &mhz)) return nullptr;
  return static_cast<int64_t>(std::lround(mhz));
}

Json Governor(FileSystem& files) {
  const std::string path =
      "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
  const std::string text = files.Read(path).value_or("");
  return TextOrNull(std::string(absl::StripAsciiWhitespace(text)));
}

Json MemoryBytes(FileSystem& files) {
  const std::string text = FieldOfFile(files, "/proc/meminfo", "MemTotal", ':');
  int64_t kilobytes = 0;
  if (!absl::SimpleAtoi(absl::StripSuffix(text, " kB"), &kilobytes)) {
    return nullptr;
  }
  return kilobytes * 1024;
}

Json Load(FileSystem& files) {
  const std::optional<double> load = ReadLoad(files);
  return load.has_value() ? Json(*load) : Json();
}

Json Versions() {
  const dnnl_version_t* dnnl = dnnl_version();
  return {{"monsoon", MONSOON_VERSION},
          {"commit", kCommit},
          {"compiler", __VERSION__},
          {"grpc", grpc::Version()},
          {"onednn",
           absl::StrCat(dnnl->major, ".", dnnl->minor, ".", dnnl->patch)}};
}

}  // namespace

Json DescribeMachine(FileSystem& files) {
  const std::string quoted =
      FieldOfFile(files, "/etc/os-release", "PRETTY_NAME", '=');
  const std::string os(
      absl::StripPrefix(absl::StripSuffix(quoted, "\""), "\""));
  utsname kernel = {};
  const bool has_kernel = ::uname(&kernel) == 0;
  return {{"processor",
           TextOrNull(FieldOfFile(files, "/proc/cpuinfo", "model name", ':'))},
          {"cores", Cores()},
          {"frequency_mhz", Frequency(files)},
          {"governor", Governor(files)},
          {"memory_bytes", MemoryBytes(files)},
          {"os", TextOrNull(os)},
          {"kernel", has_kernel ? Json(kernel.release) : Json()},
          {"load_before", Load(files)},
          {"versions", Versions()}};
}

}  // namespace monsoon
