// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/device_queue.h"
#include "base/flat.h"
#include "base/layout.h"
#include "trainers/wire.h"

namespace monsoon {

// A link's vectors as the bytes that travel, a shard at a time: coded where the
// job says so. Vectors in a GPU's memory are coded there, and come and go by
// way of page-locked host memory on a queue of their own, so that one shard is
// copied while those before it are on their way. One thread at a time.
class Packing {
 public:
  struct Config {
    std::vector<ShardRange> shards;
    std::vector<size_t> order;  // in which Pack will be called
    Wire wire;
    // Floats in front of the statistics, which are not coded.
    int64_t parameters = 0;
    // For vectors in a GPU's memory, outlives this; null: there are none.
    DeviceQueue* copies = nullptr;
  };
  explicit Packing(Config config);
  // Waits for copies that are under way.
  ~Packing();

  // Of one exchange; each may be null.
  struct Vectors {
    const Flat* update = nullptr;
    Flat* reply = nullptr;
    // Whether the update is what the job has a code for.
    bool is_push = false;
    // The servers take a GPU's memory as it is.
    bool is_handed_over = false;
  };
  // Begins an exchange: the vectors are left alone until End, by works to come
  // of their queues too. Not OK, here and below: the GPU has failed.
  absl::Status Begin(const Vectors& vectors);
  // A shard's part of the update, as it travels. Asked again, it is coded
  // again, of a GPU's vector the same as before. REQUIRES: there is an update.
  absl::StatusOr<absl::Span<const char>> Pack(size_t shard);
  // Where a shard's part of the reply comes to, as it travels. REQUIRES: there
  // is a reply.
  absl::Span<char> Room(size_t shard);
  // What has come there goes to the reply. INVALID_ARGUMENT for bytes that
  // nobody can have coded.
  absl::Status Unpack(size_t shard);
  // The reply is there, for works to come of its queue.
  absl::Status End();

  // Pack and Room give a GPU's memory.
  bool is_on_device() const { return vectors_.is_handed_over; }
  bool codes_update() const {
    return vectors_.is_push && config_.wire.push != nullptr;
  }
  bool codes_reply() const { return config_.wire.reply != nullptr; }
  // OK until the GPU fails.
  absl::Status status() const;
  // What coded updates have lost so far, and the next will bring; empty where
  // nothing is lost. In the memory of the vectors.
  const Flat& residual() const { return residual_; }
  Flat& residual() { return residual_; }

 private:
  struct Part {
    ShardCode push, reply;
    Flat sent, received;  // coded
    Flat coded;           // on its way to `sent`, in the GPU's memory
    uint64_t mark = 0;    // after which the update's part is in host memory; 0:
                          // it is not on its way yet
  };

  MemoryResource& memory() const;  // of the vectors
  MemoryResource& staging() const;
  bool IsStaged(const Flat* vector) const;
  // Enqueues the way of the next shard's part to host memory, if there is one.
  void FetchNext();
  Flat Of(Flat& vector, size_t shard) const;

  const Config config_;
  std::vector<Part> parts_;  // by shard
  Flat residual_;            // [P]
  Flat update_, reply_;      // [P], page-locked
  size_t fetched_ = 0;       // shards of the order, in this exchange
  Vectors vectors_;
};

}  // namespace monsoon
