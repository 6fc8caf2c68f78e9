// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/layout.h"
#include "server/server.h"

namespace monsoon {

// What must have happened, told apart from what did: the truth about a job that
// several workers drive over bad networks. Every push adds a number to the
// floats of its worker alone, so that sums say exactly what was applied. One
// thread at a time.
class ExactlyOnceModel {
 public:
  static constexpr int64_t kParameters = 83;
  static constexpr uint64_t kJob = 7;
  static constexpr absl::Duration kLease = absl::Seconds(2);

  explicit ExactlyOnceModel(int workers);

  // The initial center, and push `number` (from 1) of a worker, as a whole.
  Flat Initial() const;
  Flat Update(int worker, int64_t number) const;
  // Samples that such a push stands for.
  static int64_t Samples(int64_t number) { return 1 + number % 5; }
  static pb::JobSpec Spec(int workers);

  // The worker's view: push `number` is on its way; it was acknowledged; it was
  // given up, so that no server knows of it or some do.
  void Begin(int worker, int64_t number);
  void Acknowledge(int worker);
  void GiveUp(int worker);
  // What the worker read holds its own pushes, and not one more.
  void CheckOwn(int worker, const Flat& read);
  // After the last call: everything that was acknowledged is everywhere.
  void CheckEnd();

  void Fail(const std::string& what);
  // What went wrong, the first few; empty when nothing has.
  const std::string& failures() const { return failures_; }
  // Of all that happened: a digest, to compare runs by.
  uint64_t digest() const { return digest_; }
  // Calls that arrived, by name; and what became of them.
  const std::map<std::string, int64_t>& counts() const { return counts_; }
  void Count(const std::string& what) { ++counts_[what]; }

 private:
  friend class AuditedServer;

  struct Worker {
    int64_t pushing = 0;       // the number on its way; 0: none
    int64_t acknowledged = 0;  // pushes
    int64_t unresolved = 0;    // pushes that were given up
  };
  struct ShardTruth {
    ShardRange range;
    bool initialized = false;
    std::vector<double> center;
    std::vector<int64_t> sequence;  // by worker, of its present process
    std::vector<int64_t> applied;   // by worker: pushes
    std::vector<int64_t> last;      // by worker: the number of the last
    int64_t samples = 0;
  };

  double Element(int worker, int64_t number, int64_t index) const;
  // acknowledged <= applied <= acknowledged + in flight
  void CheckBounds(const ShardTruth& shard);
  void Mix(uint64_t value);

  const int workers_;
  std::vector<Worker> state_;
  std::vector<ShardTruth> shards_;
  std::map<std::string, int64_t> counts_;
  uint64_t digest_ = 0;
  std::string failures_;
};

// A server whose every call is foretold by the model and looked at afterwards.
class AuditedServer final : public ServerCalls {
 public:
  AuditedServer(int index, ExactlyOnceModel& model, Clock& clock);

  absl::Status GetJob(const pb::GetJobRequest& request,
                      pb::JobStatus& reply) override;
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override;
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override;
  void Exchange(ExchangeCall& call) override;
  void Cancel(ExchangeCall& call) override { server_.Cancel(call); }

  // The server agrees with the model on what its workers reported and did.
  void CheckEnd();

 private:
  struct Member {
    uint64_t incarnation = 0;
    absl::Time heard;
    bool done = false;
    int64_t steps = 0;
    std::set<uint64_t> past;
  };

  // The server has that worker as the model does.
  void CompareMember(int worker);
  bool IsPresent(uint64_t job, int worker, uint64_t incarnation);
  // The model changes as the server must by this call.
  void Foretell(const ExchangeCall& call);
  void Apply(ExactlyOnceModel::ShardTruth& shard, int worker, int64_t samples);
  // The server's center is the model's.
  void Compare(const ExactlyOnceModel::ShardTruth& shard, int index);

  const int index_;
  ExactlyOnceModel& model_;
  Clock& clock_;
  Server server_;
  std::map<int, Member> members_;
  int64_t looks_ = 0;
};

}  // namespace monsoon
