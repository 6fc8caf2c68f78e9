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
#include "trainers/trainer.h"
#include "transport/server_calls.h"

namespace monsoon {

// One shard behind its lock: rounds, staleness, repeated pushes, parked pulls.
// Knows no algorithm; the trainer's server half says what a push does.
// Thread-safe. Calls are finished and memory is checked outside the lock.
class HostedShard {
 public:
  // `index` is the shard's in the job, for messages. The last `statistics` of
  // its `size` floats are statistics. `job_samples` are those of one pass over
  // the data. `trainer` and `clock` outlive the shard.
  HostedShard(int index, int64_t size, int64_t statistics,
              const Trainer& trainer, int64_t job_samples, Clock& clock);

  // Serves a call whose sender was checked. Finishes it now, or parks it.
  void Exchange(ExchangeCall& call);
  // Finishes `call` with CANCELLED if it is parked here.
  void Cancel(ExchangeCall& call);
  // The ranks that take part now, sorted: rounds and parked pulls are looked
  // at again.
  void SetLive(std::vector<int> live);
  // From here on the worker is this one: forgets what a past self did
  // (sequence, base, seen center), and refuses what still comes from it, now,
  // or with the next SetLive what is parked.
  void Restart(int worker, uint64_t incarnation);
  // The job is over: pulls that wait, now or later, and pushes to come finish
  // with `why`.
  void Stop(const absl::Status& why);

  struct Counters {
    int64_t samples_applied = 0;
    int64_t samples_refused = 0;
    absl::Time first_pull = absl::InfiniteFuture();  // answered to a worker
    absl::Time last_apply = absl::InfinitePast();
  };
  Counters counters() const;

  void Save(Writer& writer) const;
  absl::Status Load(Reader& reader);

 private:
  // What the shard knows of one worker.
  struct Peer {
    uint64_t incarnation = 0;  // 0: it has not been told of any
    int64_t base = 0;          // version at its last pull
    int64_t sequence = 0;      // its pushes so far
    bool refused = false;      // the last of them was
    int64_t staleness = 0;     // of the last of them
  };
  struct Ready {
    ExchangeCall* call;
    absl::Status status;
    pb::ExchangeReply reply;
  };
  // Most often the call that is being served, and no memory for more.
  using ReadyCalls = absl::InlinedVector<Ready, 1>;

  // FAILED_PRECONDITION from a past self of the worker that takes part now.
  absl::Status CheckIncarnation(const pb::ExchangeRequest& request) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // `largest` is the largest magnitude of the call's update.
  void Serve(ExchangeCall& call, float largest, ReadyCalls& ready)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Initialize(ExchangeCall& call, ReadyCalls& ready)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Push(ExchangeCall& call, float largest, ReadyCalls& ready)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The push may be served now: it is the worker's next, or its last again.
  absl::Status CheckSequence(const pb::ExchangeRequest& request,
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
  // A round that cannot be applied stops the shard: its pushes were accepted.
  absl::Status CloseRounds() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Diverges(const Update& update, double largest) const;
  // Answers the parked pulls whose time has come.
  void AnswerParked(ReadyCalls& ready) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool MayAnswer(const ExchangeCall& call) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Copies `values` to the call and makes it ready.
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
  const int64_t job_samples_;
  Clock& clock_;

  mutable absl::Mutex mu_;
  Shard shard_ ABSL_GUARDED_BY(mu_);
  // No element of the center is larger; infinity: look.
  double bound_ ABSL_GUARDED_BY(mu_) = std::numeric_limits<double>::infinity();
  bool initialized_ ABSL_GUARDED_BY(mu_) = false;
  std::map<int, Peer> peers_ ABSL_GUARDED_BY(mu_);
  std::vector<int> live_ ABSL_GUARDED_BY(mu_);
  std::vector<ExchangeCall*> parked_ ABSL_GUARDED_BY(mu_);
  absl::Status stopped_ ABSL_GUARDED_BY(mu_);  // why nothing waits any more
  Counters counters_ ABSL_GUARDED_BY(mu_);
  // The round that is being gathered: sum of weight * value.
  struct Round {
    Flat sum;
    double bound = 0;  // no element of the sum is larger
    double weight = 0;
    int64_t count = 0;
    int64_t staleness = 0;  // the largest
    int64_t local_steps = 0;
    int64_t samples = 0;
    int worker = 0;  // the last
  } round_ ABSL_GUARDED_BY(mu_);
  Flat discounted_ ABSL_GUARDED_BY(mu_);  // scratch
};

}  // namespace monsoon
