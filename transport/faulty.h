// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "transport/server_calls.h"

namespace monsoon {

// Probabilities, each per call. The caller of what is lost: UNAVAILABLE, at
// once.
struct Faults {
  double drop_before = 0;  // the server never sees it
  double cut = 0;          // it is served without its last values, and lost
  double drop_after = 0;   // it is served; the answer is lost
  double duplicate = 0;    // it is served twice; the caller sees the second
  // It takes its time, while others overtake it.
  double delay = 0;
  // It is lost, and served nevertheless: when its caller has tried again, or
  // has gone on.
  double late = 0;
  absl::Duration max_delay;  // of both; drawn uniformly from 0 on
};

// A bad network in front of a server, for tests. What happens to the nth call
// follows from the random stream alone. Thread-safe.
class FaultyCalls final : public ServerCalls {
 public:
  // Calls its argument once the time has passed. Only for `delay` and `late`.
  using After = std::function<void(absl::Duration, std::function<void()>)>;

  // `next` outlives this, and this outlives the calls in flight and those that
  // are yet to be served.
  FaultyCalls(ServerCalls& next, Random random, Faults faults,
              After after = nullptr);
  ~FaultyCalls() override;

  absl::Status GetJob(const pb::GetJobRequest& request,
                      pb::JobStatus& reply) override;
  // A control call waits for nobody, so that `delay` and `cut` leave it as it
  // is.
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override;
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override;
  void Exchange(ExchangeCall& call) override;
  void Cancel(ExchangeCall& call) override;

 private:
  class Attempt;
  struct Fate {
    bool drop_before, cut, drop_after, duplicate, delay, late;
    absl::Duration after;  // for the last two
    double keeps;          // for a cut: this part of its values
  };

  Fate Draw();
  // `method` of the server, a control call.
  template <auto method, typename Request, typename Reply>
  absl::Status Control(const Request& request, Reply& reply);

  ServerCalls& next_;
  const Faults faults_;
  const After after_;
  absl::Mutex mu_;
  Random random_ ABSL_GUARDED_BY(mu_);
  // Those whose caller waits. Shared: by the call and by whoever is cancelling
  // it as it ends.
  std::map<ExchangeCall*, std::shared_ptr<Attempt>> attempts_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace monsoon
