// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "models/kernels/kernel.h"
#include "models/precision.h"

namespace monsoon {

// Matrix products in sequence and nothing else, on memory of its own: what a
// device's library reaches for the shapes of a model, for `monsoon bench
// kernels`.
class ProductsKernel {
 public:
  static constexpr const char* kName = "products";
  struct Product {
    int64_t rows, columns, depth;
    bool a_transposed = false, b_transposed = false;
  };
  struct Spec {
    std::vector<Product> products;
    Precision precision = Precision::kFp32;
  };

  virtual ~ProductsKernel() = default;
  virtual void Run() = 0;
};

}  // namespace monsoon
