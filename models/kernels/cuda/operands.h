// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/matmul.h"
#include "models/precision.h"

namespace monsoon {

// What a precision makes of the operands of a product.
inline CudaMatmul::Operands OperandsOf(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return CudaMatmul::Operands::kBf16;
    case Precision::kTf32:
      return CudaMatmul::Operands::kTf32;
    default:
      return CudaMatmul::Operands::kFp32;
  }
}

}  // namespace monsoon
