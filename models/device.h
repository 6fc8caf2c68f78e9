// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/strings/string_view.h"
#include "base/device_queue.h"
#include "base/memory_resource.h"

namespace monsoon {

// What a model computes on.
struct Device {
  DeviceQueue* queue = nullptr;  // null: the processor

  // What kernels are registered as.
  absl::string_view name() const {
    return queue == nullptr ? "cpu" : queue->kind();
  }
  MemoryResource& memory() const {
    return queue == nullptr ? HeapMemory() : *queue;
  }
};

}  // namespace monsoon
