// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"

namespace monsoon {

// The rows of a data set that a batch is made of, for devices that hold the
// set: the float32 numbers are those of Gather (data/dataset.h), bit for bit.
class GatherKernel {
 public:
  static constexpr const char* kName = "gather";
  struct Spec {
    int64_t batch;
    int64_t example_size;  // bytes of an image, numbers of an input
    DataType type = DataType::kFloat32;  // of X
  };

  virtual ~GatherKernel() = default;
  // x[i] = image rows[i] / 255 (the nearest float, which then is rounded to
  // bfloat16 where that is the type), y[i] = its label, for each
  // of `batch` rows. Images [n, example_size] and labels [n] are bytes, x
  // [batch, example_size]. REQUIRES: 0 <= rows[i] < n; `images` are aligned to
  // 4 bytes.
  virtual void Run(const uint8_t* images, const uint8_t* labels,
                   const int64_t* rows, void* x, int32_t* y) = 0;
};

}  // namespace monsoon
