// SPDX-License-Identifier: Apache-2.0
#include "worker/packing.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

// Shards on their way to host memory at once: fewer than a queue has marks.
constexpr size_t kFetched = DeviceQueue::kMarks / 2;

// Aligned memory for a shard's coded values, and the part that they fill.
Flat RoomFor(const ShardCode& code, MemoryResource& memory) {
  return Flat(static_cast<int64_t>(code.bytes() / sizeof(float) + 1), memory);
}
absl::Span<char> Used(Flat& room, const ShardCode& code) {
  return {reinterpret_cast<char*>(room.data()), code.bytes()};
}

// Also of a device's memory, which nobody reads here.
absl::Span<char> Bytes(Flat values) {
  return {reinterpret_cast<char*>(values.data()),
          static_cast<size_t>(values.size()) * sizeof(float)};
}

}  // namespace

Packing::Packing(Config config) : config_(std::move(config)) {
  int64_t size = 0;
  for (const ShardRange& shard : config_.shards) {
    size += shard.size;
    const int64_t statistics = StatisticsIn(shard, config_.parameters);
    Part part{{config_.wire.push.get(), shard.size, statistics},
              {config_.wire.reply.get(), shard.size, statistics},
              {},
              {},
              {}};
    if (part.push) {
      part.sent = RoomFor(part.push, staging());
      if (config_.copies != nullptr) part.coded = RoomFor(part.push, memory());
    }
    if (part.reply) part.received = RoomFor(part.reply, staging());
    parts_.push_back(std::move(part));
  }
  if (config_.wire.push != nullptr) residual_ = Flat(size, memory());
}

Packing::~Packing() {
  if (config_.copies != nullptr) config_.copies->Wait().IgnoreError();
}

MemoryResource& Packing::memory() const {
  return config_.copies == nullptr ? HeapMemory() : *config_.copies;
}

MemoryResource& Packing::staging() const {
  return config_.copies == nullptr ? HeapMemory() : config_.copies->pinned();
}

absl::Status Packing::status() const {
  return config_.copies == nullptr ? absl::OkStatus()
                                   : config_.copies->status();
}

bool Packing::IsStaged(const Flat* vector) const {
  return vector != nullptr && vector->queue() != nullptr &&
         !vectors_.is_handed_over;
}

Flat Packing::Of(Flat& vector, size_t shard) const {
  return vector.Slice(config_.shards[shard].offset, config_.shards[shard].size);
}

absl::Status Packing::Begin(const Vectors& vectors) {
  vectors_ = vectors;
  // What came before may still be on its way out of page-locked memory.
  if (config_.copies != nullptr) RETURN_IF_ERROR(config_.copies->Wait());
  const Flat* const both[] = {vectors.update, vectors.reply};
  for (const Flat* vector : both) {
    if (vector == nullptr || vector->queue() == nullptr) continue;
    MONSOON_CHECK(config_.copies != nullptr, "the link is for a GPU's memory");
    if (vectors.is_handed_over) {
      RETURN_IF_ERROR(vector->queue()->Wait());
    } else if (vector->queue() != config_.copies) {
      config_.copies->Follow(*vector->queue());
    }
  }
  if (IsStaged(vectors.reply) && reply_.empty()) {
    reply_ = Flat(vectors.reply->size(), staging());
  }
  if (!IsStaged(vectors.update)) return status();
  if (!codes_update() && update_.empty()) {
    update_ = Flat(vectors.update->size(), staging());
  }
  fetched_ = 0;
  for (Part& part : parts_) part.mark = 0;
  while (fetched_ < std::min(kFetched, config_.order.size())) FetchNext();
  return status();
}

void Packing::FetchNext() {
  if (fetched_ == config_.order.size()) return;
  const size_t shard = config_.order[fetched_++];
  Part& part = parts_[shard];
  DeviceQueue& copies = *config_.copies;
  // Every work here is of the queue for copies, wherever the vector belongs.
  const ShardRange& range = config_.shards[shard];
  const Flat values =
      Flat::View(vectors_.update->data() + range.offset, range.size, &copies);
  if (codes_update()) {
    Flat lost = Of(residual_, shard);
    part.push.Encode(values, lost, Used(part.coded, part.push));
    copies.Copy(part.sent.data(), part.coded.data(), part.push.bytes());
  } else {
    const absl::Span<char> here = Bytes(Of(update_, shard));
    copies.Copy(here.data(), values.data(), here.size());
  }
  part.mark = copies.Mark();
}

absl::StatusOr<absl::Span<const char>> Packing::Pack(size_t shard) {
  Part& part = parts_[shard];
  if (IsStaged(vectors_.update)) {
    FetchNext();
    while (part.mark == 0) FetchNext();
    RETURN_IF_ERROR(config_.copies->WaitFor(part.mark));
    if (codes_update()) return Used(part.sent, part.push);
    return Bytes(Of(update_, shard));
  }
  const ShardRange& range = config_.shards[shard];
  if (codes_update()) {
    MONSOON_CHECK(config_.copies == nullptr, "it codes what lies on the GPU");
    Flat lost = Of(residual_, shard);
    part.push.Encode(vectors_.update->Slice(range.offset, range.size), lost,
                     Used(part.sent, part.push));
    return Used(part.sent, part.push);
  }
  const bool is_off = range.offset > 0 && Mutant("shard-off-by-one");
  const float* values = vectors_.update->data() + range.offset;
  return AsBytes(absl::MakeConstSpan(values - (is_off ? 1 : 0),
                                     static_cast<size_t>(range.size)));
}

absl::Span<char> Packing::Room(size_t shard) {
  Part& part = parts_[shard];
  if (part.reply) return Used(part.received, part.reply);
  return Bytes(Of(IsStaged(vectors_.reply) ? reply_ : *vectors_.reply, shard));
}

absl::Status Packing::Unpack(size_t shard) {
  Part& part = parts_[shard];
  const bool is_staged = IsStaged(vectors_.reply);
  Flat here = Of(is_staged ? reply_ : *vectors_.reply, shard);
  if (part.reply) {
    RETURN_IF_ERROR(part.reply.Decode(Used(part.received, part.reply), here));
  }
  if (is_staged) {
    const absl::Span<char> there = Bytes(Of(*vectors_.reply, shard));
    config_.copies->Copy(there.data(), here.data(), there.size());
  }
  return absl::OkStatus();
}

absl::Status Packing::End() {
  if (IsStaged(vectors_.reply) && vectors_.reply->queue() != config_.copies) {
    vectors_.reply->queue()->Follow(*config_.copies);
  }
  return status();
}

}  // namespace monsoon
