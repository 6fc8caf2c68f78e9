// SPDX-License-Identifier: Apache-2.0
// cuda/cuda.h where the program is built without CUDA.
#include "cuda/cuda.h"

namespace monsoon {

std::string CudaVersions() { return "none"; }

int CudaDevices() { return 0; }

absl::Status CheckCudaDevice(int) {
  return absl::UnimplementedError(
      "this program was built without CUDA; install the CUDA toolkit with "
      "cuDNN "
      "and build again (docs/gpu.md), or use --device cpu");
}

absl::StatusOr<std::unique_ptr<DeviceQueue>> MakeCudaQueue(int device) {
  return CheckCudaDevice(device);
}

}  // namespace monsoon
