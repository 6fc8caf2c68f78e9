// SPDX-License-Identifier: Apache-2.0
#include "models/precision.h"

#include "base/check.h"
#include "models/kernels/cpu/onednn.h"

namespace monsoon {

Precision PrecisionOf(absl::string_view name) {
  MONSOON_CHECK(name == "fp32" || name == "bf16", "a precision's name");
  return name == "bf16" ? Precision::kBf16 : Precision::kFp32;
}

absl::Status CheckPrecision(Precision precision) {
  if (precision == Precision::kFp32 ||
      onednn::Has(dnnl::cpu_isa::avx512_core_bf16)) {
    return absl::OkStatus();
  }
  return absl::UnimplementedError(
      "precision bf16: this processor has no instructions for it, expected one "
      "with avx512_bf16 (AMD Zen 4, Intel Cooper Lake, Sapphire Rapids, or "
      "later); use fp32");
}

}  // namespace monsoon
