// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/device_queue.h"

// GPUs, for those who need not know how they are programmed. Where the program
// was built without CUDA these functions say so, and how to get one with it.
namespace monsoon {

// "13.0 (cuBLAS 13.1.0, cuDNN 9.19.0)", which it was built with, or "none".
std::string CudaVersions();
// GPUs of this machine that this program can use; 0 where there is no driver,
// or no CUDA in this build.
int CudaDevices();
// UNIMPLEMENTED: built without CUDA. UNAVAILABLE: no such GPU, or no driver.
absl::Status CheckCudaDevice(int device);
absl::StatusOr<std::unique_ptr<DeviceQueue>> MakeCudaQueue(int device);

}  // namespace monsoon
