// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/random.h"
#include "transport/server_calls.h"

namespace monsoon {

// Probabilities, each per call.
struct Faults {
  double drop_before = 0;  // the server never sees it; the caller: UNAVAILABLE
  double drop_after = 0;   // it is served; the caller: UNAVAILABLE
  double duplicate = 0;    // it is served twice; the caller sees the second
};

// A bad network in front of a server, for tests. What happens to the nth call
// follows from the random stream alone. Thread-safe.
class FaultyCalls final : public ServerCalls {
 public:
  // `next` outlives this, and this outlives the calls in flight.
  FaultyCalls(ServerCalls& next, Random random, Faults faults);
  ~FaultyCalls() override;

  absl::Status GetJob(const pb::GetJobRequest& request,
                      pb::JobStatus& reply) override;
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override;
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override;
  void Exchange(ExchangeCall& call) override;
  void Cancel(ExchangeCall& call) override;

 private:
  class Attempt;
  struct Fate {
    bool drop_before, drop_after, duplicate;
  };

  Fate Draw();
  template <typename Call>
  absl::Status Control(Call call);

  ServerCalls& next_;
  const Faults faults_;
  absl::Mutex mu_;
  Random random_ ABSL_GUARDED_BY(mu_);
  // Shared: by the call and by whoever is cancelling it as it ends.
  std::map<ExchangeCall*, std::shared_ptr<Attempt>> attempts_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace monsoon
