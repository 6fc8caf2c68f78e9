// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/serial.h"
#include "server/call_values.h"
#include "server/exchange_rules.h"
#include "server/round.h"
#include "trainers/trainer.h"
#include "transport/server_calls.h"

namespace monsoon {

// One shard behind its lock: rounds, staleness, repeated pushes, parked pulls.
// Knows no algorithm; the trainer's server half says what a push does.
// Thread-safe. Calls are finished outside the lock, and host memory is checked
// there.
class HostedShard {
 public:
  // What all shards of a job share. `trainer`, the codecs of `wire` and `clock`
  // outlive the shard.
  struct Rules {
    const Trainer& trainer;
    int64_t samples = 0;  // of one pass over the data
    // Pushes that are more rounds behind are refused.
    int64_t max_staleness = kUnbounded;
    const Wire& wire;
    Clock& clock;
  };
  // `index` is the shard's in the job, for messages. Its center lies in
  // `memory`, zeros, of which the last `statistics` floats are statistics; all
  // that the shard keeps is of the same device, whose queue is the shard's own
  // and outlives it.
  HostedShard(int index, Flat memory, int64_t statistics, const Rules& rules);

  // Serves a call whose sender was checked. Finishes it now, or parks it.
  void Exchange(ExchangeCall& call);
  // Finishes `call` with CANCELLED if it is parked here.
  void Cancel(ExchangeCall& call);
  // From now on `worker` is the process of this incarnation. If it was another,
  // forgets what that did (sequence, base, seen center) and refuses its calls;
  // those that are parked end with the next SetLive.
  void Enter(int worker, uint64_t incarnation);
  // The ranks that take part now, sorted: rounds and parked pulls are looked
  // at again. `change` numbers what the caller says, from whatever thread: what
  // comes after something newer is ignored.
  void SetLive(std::vector<int> live, int64_t change = 0);
  // The job is over: pulls that wait, now or later, and pushes to come finish
  // with `why`.
  void Stop(const absl::Status& why);

  struct Counters {
    int64_t samples_applied = 0;
    int64_t samples_refused = 0;
    absl::Time first_pull = absl::InfiniteFuture();  // answered to a worker
    absl::Time last_apply = absl::InfinitePast();
    std::map<int64_t, int64_t> staleness;  // -> pushes that had it
  };
  Counters counters() const;

  // From a device that has failed what is saved is unknown.
  void Save(Writer& writer) const;
  absl::Status Load(Reader& reader);

 private:
  // What the shard knows of one worker.
  struct Peer {
    uint64_t incarnation = 0;  // 0: none has entered, any is served
    int64_t base = 0;          // version at its last pull
    int64_t sequence = 0;      // its pushes so far
    bool refused = false;      // the last of them was
    int64_t staleness = 0;     // of the last of them
    int64_t clock = 0;         // the rank's pushes, whichever process made them
    int64_t round = -1;        // to which this process pushed last
  };
  struct Ready {
    ExchangeCall* call;
    absl::Status status;
    pb::ExchangeReply reply;
  };
  // Most often the call that is being served, and no memory for more.
  using ReadyCalls = absl::InlinedVector<Ready, 1>;

  // `largest` is the largest magnitude of the call's update, where that is
  // ready (CallValues).
  void Serve(ExchangeCall& call, float largest, ReadyCalls& ready)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Initialize(ExchangeCall& call, float largest, ReadyCalls& ready)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Push(ExchangeCall& call, float largest, ReadyCalls& ready)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The sender is the present process of its rank, or an observer.
  absl::Status CheckSender(const pb::ExchangeRequest& request) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The push may be served now: it is the worker's next, or its last again.
  absl::Status CheckPush(const pb::ExchangeRequest& request,
                         const Peer& peer) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Passes over the data whose updates were applied.
  double Progress() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Applies the update, alone or as part of a round. OUT_OF_RANGE, and nothing
  // is changed, when the center would not be finite. `largest` is the largest
  // magnitude of the update's value.
  absl::Status Admit(const Update& update, float largest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Apply(const Update& update, double largest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Gather(const Update& update, double largest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A parked pull wants a later round than there is.
  bool AwaitsRound() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A round that cannot be applied stops the shard: its pushes were accepted.
  // One in which nobody is to push passes when somebody waits for the next.
  absl::Status CloseRounds() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The clock of the slowest of `workers`, but for `except`; `none` if there is
  // nobody else.
  int64_t Slowest(const std::vector<int>& workers, int except,
                  int64_t none) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The call's center is as many rounds on as it wants.
  bool HasRounds(const ExchangeCall& call) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What a pull reads; null: there is no such thing.
  const Flat* Pulled(const pb::ExchangeRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Answers the parked pulls whose time has come, ends those that nobody may
  // wait for any more.
  void AnswerParked(ReadyCalls& ready) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndParked(ReadyCalls& ready) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Before calls are finished: answers those that are parked, and waits for the
  // device. Where that has failed nothing is known of the center any more, and
  // all calls end with the reason.
  void Settle(ReadyCalls& ready) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool MayAnswer(const ExchangeCall& call) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Writes `values` to the call, and makes it ready.
  void Answer(ExchangeCall& call, const Flat& values, ReadyCalls& ready)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  pb::ExchangeReply ReplyHead(const ExchangeCall& call) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void Finish(ReadyCalls& ready);

  const int index_;
  const int64_t size_;
  const Trainer& trainer_;
  const bool keeps_seen_;
  const float reach_;  // Traits::reach
  const bool synchronous_;
  const int64_t job_samples_;
  const int64_t max_staleness_;
  const ShardCodes codes_;
  DeviceQueue* const queue_;  // null: the shard lies in the host's memory
  Clock& clock_;

  mutable absl::Mutex mu_;
  Shard shard_ ABSL_GUARDED_BY(mu_);
  // No element of the center is larger; infinity: look.
  double bound_ ABSL_GUARDED_BY(mu_) = std::numeric_limits<double>::infinity();
  bool initialized_ ABSL_GUARDED_BY(mu_) = false;
  std::map<int, Peer> peers_ ABSL_GUARDED_BY(mu_);
  std::vector<int> live_ ABSL_GUARDED_BY(mu_);
  int64_t live_change_ ABSL_GUARDED_BY(mu_) = 0;  // which SetLive said so
  std::vector<ExchangeCall*> parked_ ABSL_GUARDED_BY(mu_);
  absl::Status stopped_ ABSL_GUARDED_BY(mu_);  // why nothing waits any more
  Counters counters_ ABSL_GUARDED_BY(mu_);
  Round round_ ABSL_GUARDED_BY(mu_);  // that is being gathered
  CallValues values_ ABSL_GUARDED_BY(mu_);
  Flat discounted_ ABSL_GUARDED_BY(mu_);  // scratch
};

}  // namespace monsoon
