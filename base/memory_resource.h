// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace monsoon {

class DeviceQueue;

// Where a Flat takes its memory from: heap, shared, pinned, device.
// Thread-safe, but for a device's. Outlives every Flat made from it.
class MemoryResource {
 public:
  virtual ~MemoryResource() = default;
  // `bytes` of zeros aligned to 64 bytes. When there is no memory the host's
  // abort, a device's queue has failed.
  virtual void* Allocate(size_t bytes) = 0;
  virtual void Deallocate(void* memory, size_t bytes) = 0;
  // The contents are needed no more: what is there afterwards is anybody's
  // guess.
  virtual void Discard(void* /*memory*/, size_t /*bytes*/) {}
  // Whose works alone read and write this memory; null: the processor does.
  virtual DeviceQueue* queue() { return nullptr; }
};

// Of a large Flat, zeros that nobody has written and what was discarded take no
// room.
MemoryResource& HeapMemory();

}  // namespace monsoon
