// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "cuda/cuda.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {

// A queue for each worker, of which tests have four at most: they may be
// threads.
MemoryResource& TestMemory(int worker) {
  static const auto queues = [] {
    std::vector<std::unique_ptr<DeviceQueue>> all;
    for (int i = 0; i < 4; ++i) {
      auto made = MakeCudaQueue(0);
      MONSOON_CHECK(made.ok(), made.status().ToString().c_str());
      all.push_back(*std::move(made));
    }
    return all;
  }();
  return *queues.at(static_cast<size_t>(worker));
}

}  // namespace monsoon
