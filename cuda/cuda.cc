// SPDX-License-Identifier: Apache-2.0
#include "cuda/cuda.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "absl/strings/str_cat.h"
#include "cuda/cuda_queue.h"

namespace monsoon {

std::string CudaVersions() {
  return absl::StrCat(CUDART_VERSION / 1000, ".", CUDART_VERSION % 1000 / 10,
                      " (cuBLAS ", CUBLAS_VER_MAJOR, ".", CUBLAS_VER_MINOR, ".",
                      CUBLAS_VER_PATCH, ", cuDNN ", CUDNN_MAJOR, ".",
                      CUDNN_MINOR, ".", CUDNN_PATCHLEVEL, ")");
}

int CudaDevices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) return 0;
  return count;
}

absl::StatusOr<std::unique_ptr<DeviceQueue>> MakeCudaQueue(int device) {
  return CudaQueue::Make(device);
}

}  // namespace monsoon
