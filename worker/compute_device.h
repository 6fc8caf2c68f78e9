// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/device_queue.h"

// What --device and --server-device name: "cpu", "cuda" (the workers of a
// process take turns over the GPUs, its servers too), "cuda:1" (all on that
// one), or "auto": a GPU where there is one that this program can use.
namespace monsoon {

// INVALID_ARGUMENT, of the flag "device" or "server-device": none of those
// names.
absl::Status CheckDeviceName(absl::string_view flag, const std::string& device);
// The same, and: no such device, no driver, or this program was built without
// CUDA.
absl::Status CheckDevice(absl::string_view flag, const std::string& device);
// Without "auto". REQUIRES: CheckDevice.
std::string ResolveDevice(const std::string& device);
// A queue for the worker or server of that rank, null for the processor.
// UNAVAILABLE: no such GPU, or no driver. REQUIRES: resolved.
absl::StatusOr<std::unique_ptr<DeviceQueue>> OpenDevice(
    const std::string& device, int rank);

}  // namespace monsoon
