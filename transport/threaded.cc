// SPDX-License-Identifier: Apache-2.0
#include "transport/threaded.h"

#include "base/check.h"

namespace monsoon {

ThreadedCalls::ThreadedCalls(ServerCalls& server, int threads, Clock& clock)
    : ForwardingCalls(server) {
  MONSOON_CHECK(threads >= 1, "somebody gives the calls to the server");
  for (int i = 0; i < threads; ++i) {
    hands_.push_back(std::make_unique<Hand>());
    hands_.back()->wanted = clock.NewEvent();
  }
  for (const auto& hand : hands_) {
    hand->thread = std::thread([this, &hand = *hand] { Run(hand); });
  }
}

ThreadedCalls::~ThreadedCalls() {
  {
    const absl::MutexLock lock(&mu_);
    MONSOON_CHECK(calls_.empty(), "no call is in flight");
    ends_ = true;
    for (const auto& hand : hands_) hand->wanted->Set();
  }
  for (const auto& hand : hands_) hand->thread.join();
}

void ThreadedCalls::Run(Hand& hand) {
  do {
    hand.wanted->Wait(absl::InfiniteFuture());
  } while (Work(hand));
}

bool ThreadedCalls::Work(Hand& hand) {
  while (true) {
    {
      const absl::MutexLock lock(&mu_);
      hand.gives_now = nullptr;
      if (ends_) return false;
      if (calls_.empty()) {
        // Under the lock, as nobody raises it otherwise.
        hand.wanted->Reset();
        hand.is_idle = true;
        return true;
      }
      hand.gives_now = calls_.front();
      calls_.pop_front();
      hand.gives.Lock();
    }
    next_.Exchange(*hand.gives_now);
    hand.gives.Unlock();
  }
}

void ThreadedCalls::Exchange(ExchangeCall& call) {
  const absl::MutexLock lock(&mu_);
  calls_.push_back(&call);
  for (const auto& hand : hands_) {
    if (!hand->is_idle) continue;
    hand->is_idle = false;
    hand->wanted->Set();
    return;
  }
}

void ThreadedCalls::Cancel(ExchangeCall& call) {
  std::vector<Hand*> givers;
  bool is_begun = true;
  {
    const absl::MutexLock lock(&mu_);
    is_begun = std::erase(calls_, &call) == 0;
    for (const auto& hand : hands_) {
      if (hand->gives_now == &call) givers.push_back(hand.get());
    }
  }
  if (!is_begun) {
    call.Finish(absl::CancelledError("the caller no longer waits"), {});
    return;
  }
  // The server must have it before it can cancel it.
  for (Hand* hand : givers) const absl::MutexLock given(&hand->gives);
  next_.Cancel(call);
}

}  // namespace monsoon
