// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/layout.h"
#include "base/random.h"
#include "base/serial.h"
#include "base/trace.h"
#include "trainers/trainer.h"
#include "transport/server_calls.h"
#include "worker/packing.h"

namespace monsoon {

// The Link of a worker over the shards of all servers: a few of each server in
// flight at once, in the same order for all workers, each retried under its own
// sequence number while its server cannot be reached, with growing pauses,
// until the link's deadline or its attempts are used up; then the error says
// which shard of which server was asked for what, how often and for how long,
// and what the last attempt met. Where the job has codes, values travel coded:
// the initial center and what an observer pulls excepted. One thread at a time.
class ShardLink final : public Link {
 public:
  struct Config {
    std::vector<ServerCalls*> servers;  // outlive the link
    std::vector<ShardRange> shards;
    uint64_t job_id = 0;
    int worker = 0;  // -1: an observer, who may only pull
    uint64_t incarnation = 0;
    Wire wire;  // of the job
    // Floats in front of the statistics, which travel as they are.
    int64_t parameters = kUnbounded;
    // How long one call may take in all, retries included.
    absl::Duration timeout = absl::Seconds(60);
    // The same for one that waits for other workers, while the servers can be
    // reached: they tell when those are gone.
    absl::Duration patience = absl::Hours(1);
    // Pulls wait as with this lead, where they would not wait for less.
    int64_t max_lead = kUnbounded;
    // How often one call is sent to a shard at most.
    int attempts = 100;
    // Looked at while a call waits, on its thread: once it is not OK, which is
    // then for good, the call ends with it soon. Empty: nothing asks for that.
    std::function<absl::Status()> interrupted;
    // Is told of every request that was answered, and of waits for the last of
    // an exchange; null: nobody wants to know.
    TraceSink* trace = nullptr;
    // Vectors lie in a GPU's memory, and come and go on this queue, beside the
    // steps: outlives the link, who else uses it does so on the link's thread.
    // Null: they are the host's.
    DeviceQueue* copies = nullptr;
  };
  // Counted since the start; an exchange counts once, whatever its shards.
  struct Counters {
    int64_t pushes = 0;
    int64_t pulls = 0;
    int64_t bytes_up = 0;  // payload
    int64_t bytes_down = 0;
    int64_t samples_refused = 0;
    std::map<int64_t, int64_t> staleness;  // -> shard pushes that had it
  };

  ShardLink(Config config, Clock& clock);
  ~ShardLink() override;

  // Pushes say how many steps and samples of `replica` they stand for: what is
  // pending, once. The replica outlives the link. Without one, 0.
  void Attach(const Replica& replica) { replica_ = &replica; }

  // Puts the initial center, which is kept where there is none yet.
  absl::Status Initialize(const Flat& center);
  absl::Status Pull(Flat& center, Freshness need = {}) override;
  absl::Status Push(const Flat& update, float weight = 1) override;
  absl::Status PushPull(const Flat& update, Flat& reply, float weight = 1,
                        Freshness need = {}) override;
  absl::Status Map(Flat& x) override;
  Answer last() const override { return last_; }
  // What `worker` has come to, for trainers whose result is the replicas.
  // REQUIRES: an observer's link.
  absl::Status PullResult(int worker, Flat& x);

  // What a push says beside its values.
  struct Account {
    int64_t local_steps = 0;
    int64_t samples = 0;
    // Computed from the center that was handed out before the last one.
    bool is_behind = false;
    float lr_factor = 1;
    // A pull that is the second half of a push with a wait.
    bool follows_push = false;
  };
  // What is pending in the attached replica, once, and its rate.
  Account TakeAccount();
  // For an account that was taken before: on any thread, while no other uses
  // the link.
  absl::Status Push(const Flat& update, float weight, const Account& account);
  absl::Status PushPull(const Flat& update, Flat& reply, float weight,
                        Freshness need, const Account& account);

  // From any thread.
  Counters counters() const;
  // What coded pushes have lost so far, and the next will bring; empty where
  // nothing is lost.
  const Flat& residual() const { return packing_.residual(); }
  // See Config.
  DeviceQueue* copies() const { return config_.copies; }

  void Save(Writer& writer) const;
  absl::Status Load(Reader& reader);

 private:
  class Call;

  // One exchange with every shard; `update` and `reply` may be null.
  absl::Status Exchange(pb::ExchangeRequest::Kind kind, const Flat* update,
                        Flat* reply, float weight, Freshness need,
                        const Account& account);
  // The call number `i` of the next exchange, in memory and with an event that
  // are kept from one exchange to the next.
  Call& NewCall(size_t i, ServerCalls& server);
  // The values that travel; whether servers take them where they lie.
  absl::Status BeginPacking(bool pushes, const Flat* update, Flat* reply);
  // What a push to shard `i` says beside its values.
  void FillPush(pb::ExchangeRequest& request, size_t i, float weight,
                const Account& account);
  // Sends the calls until all have succeeded.
  absl::Status Send(bool awaits_others, bool is_beside, bool follows_push);
  // Sends what has not succeeded and waits. The call whose failure counts: the
  // first that no retry mends, else the first; null: all have succeeded.
  // `is_beside`: the steps go on meanwhile.
  const Call* Round(absl::Time deadline, bool is_beside);
  // OK while nothing asks for the end.
  absl::Status Interrupted() const;
  // Waits for the event; false at the deadline, or when interrupted before.
  bool Wait(Event& done, absl::Time deadline) const;
  // Why there is no further attempt.
  absl::Status GaveUp(const Call& call, absl::Time begin,
                      absl::Duration limit) const;
  // Of an exchange that has succeeded. `follows_push`: a pull that ends a push
  // with a wait.
  void Count(bool follows_push);
  // What the pull and the job ask for.
  int64_t MaxLead(const Freshness& need) const;

  const Config config_;
  Clock& clock_;
  Random jitter_;
  const Replica* replica_ = nullptr;
  int result_of_ = -1;  // what PullResult asks for
  Answer last_;
  int64_t accounted_step_ = 0;       // pending up to here was taken
  const std::vector<size_t> order_;  // in which shards are called
  std::vector<int64_t> sequences_;   // pushes so far, by shard
  // The versions of the center that was handed out last, and of the one before,
  // by shard.
  std::vector<int64_t> versions_, versions_before_;
  Packing packing_;
  std::vector<std::unique_ptr<Call>> calls_;
  mutable absl::Mutex mu_;
  Counters counters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace monsoon
