// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "base/clock.h"
#include "trainers/replica.h"
#include "trainers/trainer.h"
#include "worker/shard_link.h"

namespace monsoon {

// Lets the exchange of one window run beside the computation of the next:
// PushPull begins its exchange on a thread of its own, and hands out the center
// that the exchange before brought (the first time, the one that was pulled).
// So workers compute by the same equations, from a center that is one window
// older; what they push says from which, and their staleness counts it.
//
// For trainers whose replies are the center. What an exchange met is the status
// of the call after it. One thread at a time uses it. The center that is not
// handed out yet lies in the replica's slot "overlap/center", and is saved with
// it after Drain; with the update under way a worker needs 8 P bytes more.
// REQUIRES: a Pull before the first PushPull.
class OverlapLink final : public Link {
 public:
  // All outlive this link, and nobody else uses `link` meanwhile.
  OverlapLink(ShardLink& link, Replica& replica, Clock& clock);
  ~OverlapLink() override;

  absl::Status Pull(Flat& center, Freshness need = {}) override;
  absl::Status Push(const Flat& update, float weight = 1) override;
  absl::Status PushPull(const Flat& update, Flat& reply, float weight = 1,
                        Freshness need = {}) override;
  // Of the exchange whose answer was handed out last.
  Answer last() const override { return last_; }
  bool is_beside_steps() const override { return true; }

  // Waits for the exchange that is under way; what it, or one before, met.
  // OUT_OF_RANGE where the servers refused numbers that are not finite.
  absl::Status Drain();

 private:
  // One exchange, from PushPull to the thread.
  struct Task {
    Flat* into = nullptr;
    float weight = 1;
    Freshness need;
    ShardLink::Account account;
  };

  void Run();
  // Of what was computed from the center that was handed out last.
  ShardLink::Account TakeAccount();
  // What the next PushPull hands out, [P].
  Flat& next();

  ShardLink& link_;
  Replica& replica_;
  Flat update_;         // [P], on its way
  Flat next_on_queue_;  // next() for the link's queue, where it has one
  Task task_;
  bool is_under_way_ = false;
  bool stops_ = false;
  absl::Status status_;
  Answer last_;
  const std::unique_ptr<Event> begun_, ended_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace monsoon
