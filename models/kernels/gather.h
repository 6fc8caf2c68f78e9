// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernels/kernel.h"

namespace monsoon {

// Makes a batch of examples of a data set that lies in a device's memory, as
// Gather of data/dataset.h does on the processor.
class GatherKernel {
 public:
  static constexpr const char* kName = "gather";
  struct Spec {
    int64_t batch;
    int64_t example_size;  // bytes, which are also the floats of an input
  };

  virtual ~GatherKernel() = default;
  // x [batch, example_size] = bytes of images [n, example_size] at `rows`
  // [batch] / 255, y [batch] = labels [n] there.
  virtual void Run(const uint8_t* images, const uint8_t* labels,
                   const int64_t* rows, float* x, int32_t* y) = 0;
};

}  // namespace monsoon
