// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/device_queue.h"
#include "proto/convert.h"
#include "server/hosted_shard.h"
#include "trainers/trainer.h"

namespace monsoon {

// Gives a shard the device that it is to lie on, with a queue of its own;
// empty: shards lie in the host's memory.
using OpenShardDevice =
    std::function<absl::StatusOr<std::unique_ptr<DeviceQueue>>()>;

// One server's part of a job: its shards and who takes part. Thread-safe. Lock
// order: Job::mu_ before a shard's.
class Job {
 public:
  // Checks the request of the worker of rank 0 and makes the shards.
  // INVALID_ARGUMENT for what cannot be; RESOURCE_EXHAUSTED for more than
  // `max_bytes` of parameters, or than the device has room for. `lease`: see
  // ServerOptions.
  static absl::StatusOr<std::shared_ptr<Job>> Create(
      const pb::JoinRequest& request, int64_t max_bytes, absl::Duration lease,
      const OpenShardDevice& open_device, Clock& clock);

  uint64_t id() const { return id_; }
  const pb::JobSpec& spec() const { return spec_; }

  // Compares the request with the job and takes the worker in.
  absl::Status Join(const pb::JoinRequest& request);
  // Without a report it is a sign of life alone.
  absl::Status Report(const pb::ReportRequest& request, pb::ReportReply& reply);
  void Exchange(ExchangeCall& call);
  void Cancel(ExchangeCall& call);
  // See ServerCalls.
  absl::Status Map(int worker, uint64_t incarnation, Flat& center);
  // Another job takes its place: calls that still wait finish with ABORTED.
  void Abandon();
  void FillStatus(pb::JobStatus& status) const;
  // Every worker that came has ended or fallen silent.
  bool Over() const;

 private:
  struct Member {
    uint64_t incarnation = 0;
    absl::Time heard;
    pb::WorkerReport report;
    // Incarnations that it replaced: refused for good, 8 bytes each.
    std::set<uint64_t> past;
  };

  Job(const pb::JoinRequest& request, MadeTrainer trainer, Wire wire,
      absl::Duration lease, Clock& clock);

  // Of all the job's, those of this server. The first `parameters` floats of
  // the center are no statistics.
  absl::Status MakeShards(const std::vector<ShardRange>& shards,
                          int64_t parameters,
                          const OpenShardDevice& open_device);
  // Memory of a device for the center of one shard, and what its queue needs.
  absl::StatusOr<Flat> TakeMemory(int64_t size,
                                  const OpenShardDevice& open_device);
  // The worker is a member, under this incarnation; it has been heard.
  absl::Status Check(int worker, uint64_t incarnation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes the report of a member; true: the job stops because of it.
  bool Take(const pb::ReportRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes in a process for its rank, if that is free.
  absl::Status Admit(const pb::JoinRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The ranks that run and were heard of within the lease, sorted. Sets
  // look_again_.
  std::vector<int> Live() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Who takes part, as the shards are to be told; without the lock.
  struct LiveChange {
    std::vector<int> live;
    int64_t number = 0;
  };
  // Something to tell, when it is not what the shards know. Nobody can have
  // fallen silent before look_again_.
  std::optional<LiveChange> Changed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Tell(const std::optional<LiveChange>& change);
  HostedShard* FindShard(int index) const;

  const uint64_t id_;
  const pb::JobSpec spec_;
  const int server_index_;
  const MadeTrainer trainer_;
  const Wire wire_;
  const absl::Duration lease_;
  Clock& clock_;
  // Of the shards' centers: the host's, one behind the other, or a queue each.
  Flat memory_;
  std::vector<std::unique_ptr<DeviceQueue>> queues_;
  std::map<int, std::unique_ptr<HostedShard>> shards_;  // constant after Create

  mutable absl::Mutex mu_;
  std::map<int, Member> members_ ABSL_GUARDED_BY(mu_);
  int64_t changes_ ABSL_GUARDED_BY(mu_) = 0;    // of who is live
  std::vector<int> told_ ABSL_GUARDED_BY(mu_);  // the last of them
  absl::Time look_again_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  absl::Time last_end_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  pb::WorkerState stop_state_ ABSL_GUARDED_BY(mu_) = pb::RUNNING;
  std::string stop_ ABSL_GUARDED_BY(mu_);
};

}  // namespace monsoon
