// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "base/flat.h"
#include "server/exchange_rules.h"
#include "trainers/shard.h"
#include "transport/server_calls.h"

namespace monsoon {

// Moves values between the calls of one shard and the shard's memory: as they
// are or coded, of the host or of the GPU where the shard lies. Not
// thread-safe: under the shard's lock.
class CallValues {
 public:
  // `index` is the shard's in the job, for messages. `is_mapped`: workers write
  // to the center without the lock. `shard` and `codes` outlive it.
  CallValues(int index, Shard& shard, const ShardCodes& codes, bool is_mapped)
      : index_(index), shard_(shard), codes_(codes), is_mapped_(is_mapped) {}

  // The update of `call` is read where it came, by a shard of this device, or
  // of the host: null. It can be looked at before the lock is held.
  static bool IsReady(const ExchangeCall& call, const DeviceQueue* queue) {
    return queue == nullptr && !call.request.coded();
  }

  // Takes in an update that is not ready, and sets its largest magnitude; does
  // nothing for others. INVALID_ARGUMENT for values that are not finite, or
  // corrupt.
  absl::Status Take(const ExchangeCall& call, float& largest);
  // [n], the update of `call`, which was the last that Take was given.
  const Flat Of(const ExchangeCall& call) const;
  // Writes `values` to the reply of `call`, coded if it asks for that; a device
  // has them there after a wait. `bound`: no element of the center is larger.
  // What the worker gets is also kept in `seen`, unless that is null.
  void Send(const Flat& values, double bound, Flat* seen, ExchangeCall& call);

 private:
  void SendCoded(const Flat& values, double bound, Flat* seen,
                 ExchangeCall& call);
  // Where what a coded reply of `values` loses is kept: of a worker's center,
  // to be added to the next, whoever gets that. An observer leaves no trace,
  // and a reply that follows from an update loses nothing any more
  // (Shard::RoundReply).
  Flat& Lost(const pb::ExchangeRequest& request, const Flat& values);

  const int index_;
  Shard& shard_;
  const ShardCodes& codes_;
  const bool is_mapped_;
  Flat taken_;  // scratch, as the next
  Flat lost_;
};

}  // namespace monsoon
