// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "transport/forwarding.h"

namespace monsoon {

// A server of this process whose exchanges are worked on by threads of their
// own, several shards at once, while the caller goes on: for callers that have
// something else to do meanwhile, as to move values to a GPU and back. They are
// begun in the order in which they came. Thread-safe.
class ThreadedCalls final : public ForwardingCalls {
 public:
  // `server` outlives this, and this the calls in flight. REQUIRES: threads >=
  // 1.
  ThreadedCalls(ServerCalls& server, int threads, Clock& clock);
  ~ThreadedCalls() override;

  void Exchange(ExchangeCall& call) override;
  void Cancel(ExchangeCall& call) override;

 private:
  struct Hand {
    std::unique_ptr<Event> wanted;
    bool is_idle = true;
    ExchangeCall* gives_now = nullptr;  // to the server; null: nothing
    // Held while it does. After mu_, where both are taken.
    absl::Mutex gives;
    std::thread thread;
  };

  void Run(Hand& hand);
  // Gives calls to the server until there are none; false: this ends.
  bool Work(Hand& hand);

  absl::Mutex mu_;
  bool ends_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<ExchangeCall*> calls_ ABSL_GUARDED_BY(mu_);  // not begun
  // is_idle and gives_now are guarded by mu_ too.
  std::vector<std::unique_ptr<Hand>> hands_;
};

}  // namespace monsoon
