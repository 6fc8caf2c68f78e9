// SPDX-License-Identifier: Apache-2.0
#include "models/precision.h"

#include "base/check.h"
#include "models/kernels/cpu/onednn.h"

namespace monsoon {

Precision PrecisionOf(absl::string_view name) {
  if (name == "bf16") return Precision::kBf16;
  if (name == "tf32") return Precision::kTf32;
  MONSOON_CHECK(name == "fp32", "a precision's name");
  return Precision::kFp32;
}

absl::Status CheckPrecision(Precision precision, const Device& device) {
  if (precision == Precision::kFp32 || device.queue != nullptr) {
    return absl::OkStatus();
  }
  if (precision == Precision::kTf32) {
    return absl::UnimplementedError(
        "precision tf32: no processor has instructions for it, expected a GPU "
        "(--device cuda); use fp32");
  }
  if (onednn::Has(dnnl::cpu_isa::avx512_core_bf16)) return absl::OkStatus();
  return absl::UnimplementedError(
      "precision bf16: this processor has no instructions for it, expected one "
      "with avx512_bf16 (AMD Zen 4, Intel Cooper Lake, Sapphire Rapids, or "
      "later); use fp32");
}

}  // namespace monsoon
