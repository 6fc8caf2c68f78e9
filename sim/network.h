// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "sim/spec.h"
#include "sim/virtual_clock.h"
#include "transport/server_calls.h"

namespace monsoon {

// What does one thing at a time, first come, first served: one direction of a
// machine's port, or a server's core.
class Lane {
 public:
  // Takes the lane for `busy`, from `now` on or when those before are through;
  // returns when that begins. REQUIRES: `now` never goes back.
  absl::Time Take(absl::Time now, absl::Duration busy);
  // Of all that was taken so far.
  absl::Duration busy() const { return busy_; }

 private:
  absl::Time free_ = absl::InfinitePast();
  absl::Duration busy_;
};

// One machine: its port in each direction and, of a server, its core.
struct Machine {
  Lane out, in, core;
};

// The network between one worker and one server, on virtual time.
//
// A message of b bytes of values leaves the sender's port when that is free,
// reaches the receiver's port a latency later, waits there for its turn, and
// has arrived b / rate after that; so on an idle network it takes latency +
// b / rate. A server's core then takes in the update, at `server_rate`, and
// only then is the real server asked; its core copies the reply likewise, which
// travels back in the same way. Heads of messages and control calls (join,
// report) take no time.
//
// For actors of one VirtualClock and what it lets happen: one thread at a time.
class NetworkCalls final : public ServerCalls {
 public:
  // Hears of each push that the server has taken: its samples, when it is to
  // the first shard, and whether they were refused.
  using OnPush = std::function<void(int64_t samples, bool refused)>;

  // All outlive this, and this outlives the calls in flight.
  NetworkCalls(ServerCalls& next, Machine& worker, Machine& server,
               const SimulationSpec& spec, VirtualClock& clock,
               const OnPush& on_push);
  ~NetworkCalls() override;

  absl::Status GetJob(const pb::GetJobRequest& request,
                      pb::JobStatus& reply) override;
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override;
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override;
  void Exchange(ExchangeCall& call) override;
  // What is on its way is lost.
  void Cancel(ExchangeCall& call) override;

 private:
  class Transfer;

  void Forget(const Transfer& transfer);

  ServerCalls& next_;
  Machine& worker_;
  Machine& server_;
  const SimulationSpec& spec_;
  VirtualClock& clock_;
  const OnPush& on_push_;
  std::vector<std::unique_ptr<Transfer>> transfers_;  // in flight, a few
};

}  // namespace monsoon
