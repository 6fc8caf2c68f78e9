// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "base/check.h"
#include "cuda/cuda.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {

// A queue for each worker, of which tests have four at most: they may be
// threads. Never destroyed, as TestDevice().
MemoryResource& TestMemory(int worker) {
  using Queues = std::array<DeviceQueue*, 4>;
  static const Queues queues = [] {
    Queues all;
    for (DeviceQueue*& queue : all) {
      auto made = MakeCudaQueue(0);
      MONSOON_CHECK(made.ok(), made.status().ToString().c_str());
      queue = made->release();
    }
    return all;
  }();
  return *queues.at(static_cast<size_t>(worker));
}

}  // namespace monsoon
