// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "base/check.h"
#include "cuda/cuda.h"
#include "tests/models/layer_bench.h"

namespace monsoon {

Device TestDevice() {
  static const std::unique_ptr<DeviceQueue> queue = [] {
    auto made = MakeCudaQueue(0);
    MONSOON_CHECK(made.ok(), made.status().ToString().c_str());
    return *std::move(made);
  }();
  return {queue.get()};
}

}  // namespace monsoon
