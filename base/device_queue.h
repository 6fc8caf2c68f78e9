// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/memory_resource.h"

namespace monsoon {

// One line of work on a device beside the processor, a GPU's stream, and the
// device memory that this work is done on. A call returns before its work is
// done; works are done in the order of the calls. After a failure nothing more
// is done and status() says what failed, so callers need to look only where
// they wait. One thread at a time; outlives the memory taken from it.
class DeviceQueue : public MemoryResource {
 public:
  // Works that were recorded, to be done many times at the cost of one.
  class Recording {
   public:
    virtual ~Recording() = default;
  };

  DeviceQueue* queue() final { return this; }

  // What kernels of this device are registered as: "cuda".
  virtual absl::string_view kind() const = 0;
  // For people: "cuda:0 (NVIDIA H200)".
  virtual std::string name() const = 0;

  // OK until something failed. RESOURCE_EXHAUSTED: memory, with what was asked
  // and what was free; UNAVAILABLE: the device is lost.
  virtual absl::Status status() const = 0;
  // Returns once everything is done, or has failed: status().
  virtual absl::Status Wait() = 0;

  // A place in the order of works. Of more than kMarks the older ones are taken
  // for later ones: who waits for them waits longer.
  static constexpr uint64_t kMarks = 64;
  virtual uint64_t Mark() = 0;
  // Whether everything before the mark is done.
  virtual bool Passed(uint64_t mark) = 0;
  // Returns once it is, or has failed: status().
  virtual absl::Status WaitFor(uint64_t mark) = 0;

  // Another line of work on the same device, with a status of its own.
  virtual absl::StatusOr<std::unique_ptr<DeviceQueue>> Fork() = 0;
  // Works to come are done after those that `before`, a queue of the same kind,
  // was given so far.
  virtual void Follow(DeviceQueue& before) = 0;

  // Copies bytes between two places of this kind of device or of the host. What
  // goes to the host is there after a wait. Host memory from pinned() is read
  // when the work is done, other host memory before this returns.
  virtual void Copy(void* to, const void* from, size_t bytes) = 0;
  virtual void Zero(void* to, size_t bytes) = 0;
  // Host memory that copies reach at full speed and beside other work.
  virtual MemoryResource& pinned() = 0;
  // Bytes of the device that nobody has taken.
  virtual int64_t FreeBytes() const = 0;

  // Records the works of `enqueue` instead of doing them. Says why where that
  // failed; then the works may still be done without.
  virtual absl::StatusOr<std::unique_ptr<Recording>> Record(
      absl::FunctionRef<void()> enqueue) = 0;
  virtual void Replay(const Recording& recording) = 0;

  // As base/flat.h has them, over device memory; they wait.
  virtual float Largest(const float* values, int64_t size) = 0;
  virtual double Norm(const float* values, int64_t size) = 0;
  virtual int64_t FirstNotFinite(const float* values, int64_t size) = 0;
};

}  // namespace monsoon
