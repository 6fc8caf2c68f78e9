// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"
#include "cuda/cuda.h"
#include "tests/models/layer_bench.h"

namespace monsoon {

Device TestDevice() {
  // Never destroyed: at the end of the process cuDNN may be gone before it.
  static DeviceQueue* const queue = [] {
    auto made = MakeCudaQueue(0);
    MONSOON_CHECK(made.ok(), made.status().ToString().c_str());
    return made->release();
  }();
  return {queue};
}

}  // namespace monsoon
