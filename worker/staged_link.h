// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "base/device_queue.h"
#include "trainers/trainer.h"

namespace monsoon {

// The link of a worker whose vectors lie in a GPU's memory, over one whose lie
// in the host's: what is pushed comes to page-locked host memory first, what is
// pulled goes from there. One thread at a time.
class StagedLink final : public Link {
 public:
  // Both outlive this link. Vectors have `size` floats.
  StagedLink(Link& link, DeviceQueue& queue, int64_t size)
      : link_(link),
        queue_(queue),
        update_(size, queue.pinned()),
        reply_(size, queue.pinned()) {}

  // Waits for copies that are under way.
  ~StagedLink() override { queue_.Wait().IgnoreError(); }

  absl::Status Pull(Flat& center, Freshness need = {}) override;
  absl::Status Push(const Flat& update, float weight = 1) override;
  absl::Status PushPull(const Flat& update, Flat& reply, float weight = 1,
                        Freshness need = {}) override;
  Answer last() const override { return link_.last(); }

 private:
  // `update` comes to update_.
  absl::Status Fetch(const Flat& update);

  Link& link_;
  DeviceQueue& queue_;
  Flat update_, reply_;  // page-locked
};

}  // namespace monsoon
