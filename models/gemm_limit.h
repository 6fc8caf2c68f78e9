// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/clock.h"
#include "base/flat.h"

namespace monsoon {

// The rate of arithmetic that kernels are compared with: oneDNN's sgemm of
// 2048 x 2048 x 2048 on as many OpenMP threads as the caller has. Takes 48 MiB.
// One thread at a time.
class GemmLimit {
 public:
  explicit GemmLimit(Clock& clock);
  // GFLOP/s of one product, about 0.15 s of a core.
  double Measure();

 private:
  Clock& clock_;
  Flat a_, b_, c_;
};

}  // namespace monsoon
