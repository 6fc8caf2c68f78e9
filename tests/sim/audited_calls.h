// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "server/server.h"
#include "tests/server/recorded_call.h"
#include "transport/server_calls.h"

namespace monsoon {

// Stands in front of a server, and beside it has a second one, the shadow, that
// hears the same in the same order, but of every push only once: whatever
// networks do, and whatever the trainer is, both must have the same centers at
// all times, bit for bit. Checks moreover what a push says of its staleness,
// how far a pull lets a worker lead, and that samples are counted once. One
// thread.
class AuditedCalls final : public ServerCalls {
 public:
  // `next` is a Server of that lease; all outlive this.
  AuditedCalls(ServerCalls& next, Clock& clock, absl::Duration lease);
  ~AuditedCalls() override;

  absl::Status GetJob(const pb::GetJobRequest& request,
                      pb::JobStatus& reply) override;
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override;
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override;
  void Exchange(ExchangeCall& call) override;
  void Cancel(ExchangeCall& call) override;

  // After the last call.
  void CheckEnd();
  // What went wrong, the first few; empty when nothing has.
  const std::string& failures() const { return failures_; }
  // Pushes that were taken, over all shards; and calls that brought one again.
  int64_t pushes() const { return pushes_; }
  int64_t repeats() const { return repeats_; }

 private:
  class Watched;
  struct Look {
    int64_t version = -1;  // there is no center yet
    std::vector<float> center;
  };
  struct Peer {
    uint64_t incarnation = 0;
    bool is_live = false;
    std::map<int, int64_t> sequences;  // by shard
    // Likewise, of all its processes; and as far as the server may have moved
    // it on, when it was back from a silence.
    std::map<int, int64_t> clocks, moved;
    absl::Time heard = absl::InfiniteFuture();
  };

  static Look LookAt(ServerCalls& server, const pb::ExchangeRequest& request);
  // Is this push one that the server takes, and takes for the first time?
  bool IsNew(const ExchangeCall& call, const Look& before);
  void CheckLead(const pb::ExchangeRequest& request);
  // A sign of life. Who was silent for longer than its lease is as far as the
  // slowest of the others now.
  void Hear(int worker);
  void Fail(const std::string& what);

  ServerCalls& next_;
  Clock& clock_;
  const absl::Duration lease_;
  Server shadow_;
  std::map<int, int64_t> sizes_;  // of the shards that are here, in bytes
  std::map<int, Peer> peers_;
  std::map<int, int64_t> samples_;  // by shard
  std::list<Watched> calls_;        // that the server has
  std::list<RecordedCall> shadows_;
  int64_t pushes_ = 0;
  int64_t repeats_ = 0;
  std::string failures_;
};

}  // namespace monsoon
