// SPDX-License-Identifier: Apache-2.0
#include "worker/staged_link.h"

#include "base/status_macros.h"

namespace monsoon {

absl::Status StagedLink::Fetch(const Flat& update) {
  update_.CopyFrom(update);  // waits for the steps before it
  return queue_.status();
}

absl::Status StagedLink::Pull(Flat& center, Freshness need) {
  // The last copy from there is done.
  RETURN_IF_ERROR(queue_.Wait());
  RETURN_IF_ERROR(link_.Pull(reply_, need));
  center.CopyFrom(reply_);
  return queue_.status();
}

absl::Status StagedLink::Push(const Flat& update, float weight) {
  RETURN_IF_ERROR(Fetch(update));
  return link_.Push(update_, weight);
}

absl::Status StagedLink::PushPull(const Flat& update, Flat& reply, float weight,
                                  Freshness need) {
  RETURN_IF_ERROR(Fetch(update));
  RETURN_IF_ERROR(link_.PushPull(update_, reply_, weight, need));
  reply.CopyFrom(reply_);
  return queue_.status();
}

}  // namespace monsoon
