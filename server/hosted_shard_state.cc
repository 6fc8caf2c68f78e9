// SPDX-License-Identifier: Apache-2.0
//
// What a shard writes into a checkpoint, and reads from it.
#include <limits>

#include "base/status_macros.h"
#include "server/hosted_shard.h"

namespace monsoon {

void HostedShard::Save(Writer& writer) const {
  absl::MutexLock lock(&mu_);
  shard_.Save(writer);
  writer.Int(initialized_ ? 1 : 0);
  writer.Int(counters_.samples_applied);
  writer.Int(counters_.samples_refused);
  writer.Int(static_cast<int64_t>(peers_.size()));
  for (const auto& [worker, peer] : peers_) {
    for (int64_t value :
         {int64_t{worker}, static_cast<int64_t>(peer.incarnation), peer.base,
          peer.sequence, int64_t{peer.refused}, peer.staleness, peer.clock,
          peer.round}) {
      writer.Int(value);
    }
  }
  writer.Counts(counters_.staleness);
  round_.Save(writer);
}

absl::Status HostedShard::Load(Reader& reader) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(shard_.Load(reader));
  bound_ = std::numeric_limits<double>::infinity();
  int64_t initialized = 0, count = 0, worker = 0, incarnation = 0, refused = 0;
  RETURN_IF_ERROR(reader.Int(initialized));
  initialized_ = initialized != 0;
  RETURN_IF_ERROR(reader.Int(counters_.samples_applied));
  RETURN_IF_ERROR(reader.Int(counters_.samples_refused));
  RETURN_IF_ERROR(reader.Int(count));
  peers_.clear();
  for (int64_t i = 0; i < count; ++i) {
    Peer peer;
    for (int64_t* value :
         {&worker, &incarnation, &peer.base, &peer.sequence, &refused,
          &peer.staleness, &peer.clock, &peer.round}) {
      RETURN_IF_ERROR(reader.Int(*value));
    }
    peer.incarnation = static_cast<uint64_t>(incarnation);
    peer.refused = refused != 0;
    peers_[static_cast<int>(worker)] = peer;
  }
  RETURN_IF_ERROR(reader.Counts(counters_.staleness));
  return round_.Load(reader);
}

}  // namespace monsoon
