// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <memory>
#include <utility>

#include "base/check.h"
#include "cuda/cuda.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {

// A queue for each worker: they may be threads.
MemoryResource& TestMemory(int worker) {
  static std::map<int, std::unique_ptr<DeviceQueue>> queues;
  std::unique_ptr<DeviceQueue>& queue = queues[worker];
  if (queue == nullptr) {
    auto made = MakeCudaQueue(0);
    MONSOON_CHECK(made.ok(), made.status().ToString().c_str());
    queue = *std::move(made);
  }
  return *queue;
}

}  // namespace monsoon
