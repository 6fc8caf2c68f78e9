// SPDX-License-Identifier: Apache-2.0
// models/cuda/gemm_limit.h where the program is built without CUDA.
#include "cuda/cuda.h"
#include "models/cuda/gemm_limit.h"

namespace monsoon {

absl::StatusOr<GemmTime> MeasureCudaGemm(DeviceQueue&, Precision, int64_t) {
  return CheckCudaDevice(0);
}

absl::StatusOr<GemmTime> MeasureCudaDense(DeviceQueue&, Precision,
                                          absl::Span<const DenseShape>) {
  return CheckCudaDevice(0);
}

}  // namespace monsoon
