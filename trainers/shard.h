// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/device_queue.h"
#include "base/flat.h"
#include "base/serial.h"
#include "trainers/slots.h"
#include "trainers/wire.h"

namespace monsoon {

// One shard's state: what a trainer's server half reads and writes, always
// under the lock of the server that holds it. n is the size of the shard.
class Shard {
 public:
  // The last `statistics` of `size` floats are statistics (batch norm).
  explicit Shard(int64_t size, int64_t statistics = 0,
                 MemoryResource& memory = HeapMemory())
      : Shard(Flat(size, memory), statistics) {}
  // Whose center is `memory`, zeros.
  Shard(Flat memory, int64_t statistics)
      : parameters(memory.size() - statistics),
        center(std::move(memory)),
        slots(center.size(), this->memory()) {}

  // Of everything beside the center: the heap, or the device where that lies.
  MemoryResource& memory() const {
    return center.queue() == nullptr ? HeapMemory() : *center.queue();
  }
  // The floats in front of the statistics: what an optimizer may move. What
  // workers push for the rest is a delta, to be added.
  const int64_t parameters;
  Flat center;          // [n]
  int64_t version = 0;  // rounds applied
  Slots slots;

  // [n] zeros at first: one for all workers, or one for each.
  Flat& slot(const std::string& name) { return slots.vector(name); }
  Flat& slot(const std::string& name, int worker) {
    return slots.vector(absl::StrCat(name, "/", worker));
  }
  // The center as last handed to `worker`, or as it is now where it never was;
  // kept only for trainers whose Traits ask for it.
  Flat& seen(int worker);
  // Forgets the slots of a worker: it starts anew.
  void Forget(int worker);

  // Where a reply is also added to the center (elastic averaging), both sides
  // must use the same number: turns `reply` into what the worker will decode.
  void RoundReply(Flat& reply);
  // How replies travel, if not as float32; outlives the shard.
  const ShardCode* reply_code = nullptr;

  // Runs `change` on this shard. False when it would leave the center, or a
  // slot that it names, with an element that is not finite: then everything is
  // as before. Costs a copy of the center and of those slots.
  bool Try(absl::FunctionRef<void()> change);

  void Save(Writer& writer) const;
  absl::Status Load(Reader& reader);

 private:
  Flat before_;  // scratch of Try
  Flat lost_;    // scratch of RoundReply, as the next
  Flat coded_;   // bytes
};

}  // namespace monsoon
