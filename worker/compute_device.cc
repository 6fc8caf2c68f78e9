// SPDX-License-Identifier: Apache-2.0
#include "worker/compute_device.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/spelling.h"
#include "base/status_macros.h"
#include "cuda/cuda.h"

namespace monsoon {
namespace {

// N of "cuda:N"; nothing for another text.
std::optional<int> NumberOf(absl::string_view device) {
  int number = 0;
  if (!absl::ConsumePrefix(&device, "cuda:") || device.empty() ||
      !std::all_of(device.begin(), device.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(device, &number)) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

absl::Status CheckDeviceName(absl::string_view flag,
                             const std::string& device) {
  if (device == "auto" || device == "cpu" || device == "cuda" ||
      NumberOf(device).has_value()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--", flag, ": ", UnknownName("device", device, {"auto", "cpu", "cuda"}),
      "; cuda:N is the GPU of number N"));
}

absl::Status CheckDevice(absl::string_view flag, const std::string& device) {
  RETURN_IF_ERROR(CheckDeviceName(flag, device));
  if (device == "auto" || device == "cpu") return absl::OkStatus();
  absl::Status there = CheckCudaDevice(NumberOf(device).value_or(0));
  if (there.ok()) return there;
  // It says what to use instead, in the words of --device.
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, ": ", device, ": ",
                   absl::StrReplaceAll(
                       there.message(),
                       {{"--device cpu", absl::StrCat("--", flag, " cpu")}})));
}

std::string ResolveDevice(const std::string& device) {
  if (device != "auto") return device;
  return CheckCudaDevice(0).ok() ? "cuda" : "cpu";
}

absl::StatusOr<std::unique_ptr<DeviceQueue>> OpenDevice(
    const std::string& device, int rank) {
  if (device == "cpu") return nullptr;
  const int number =
      NumberOf(device).value_or(rank % std::max(1, CudaDevices()));
  return MakeCudaQueue(number);
}

}  // namespace monsoon
