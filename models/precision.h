// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "models/device.h"

namespace monsoon {

// What the operands of a model's products are rounded to. Parameters, their
// gradients and sums stay float32, and on the processor everything between the
// products; on a device of kBf16 that is bfloat16 (ValueTypes in program.h).
enum class Precision {
  kFp32,
  // Mixed precision (Micikevicius et al. 2018, arXiv:1710.03740; for bfloat16
  // Kalamkar et al. 2019, arXiv:1905.12322): the products of dense layers and
  // of convolutions, where that is faster than float32. The range of bfloat16
  // is float32's, so the loss is not scaled.
  kBf16,
  // As kBf16 with the ten bits of TensorFloat-32, of which the products of
  // NVIDIA's GPUs take float32 operands as they are.
  kTf32,
};

// "fp32", "bf16" or "tf32". REQUIRES: it is one of them.
Precision PrecisionOf(absl::string_view name);

// UNIMPLEMENTED where the device lacks the instructions.
absl::Status CheckPrecision(Precision precision, const Device& device);

}  // namespace monsoon
