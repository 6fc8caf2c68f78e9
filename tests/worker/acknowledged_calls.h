// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "transport/forwarding.h"

namespace monsoon {

// How far the pushes of one worker's life to one shard are. May lie in memory
// that outlives the process.
struct PushProgress {
  std::atomic<int64_t> begun = 0;         // the last that was sent
  std::atomic<int64_t> acknowledged = 0;  // the last that was answered
};

// Notes each push before it is sent and after it was acknowledged, by shard.
class AcknowledgedCalls final : public ForwardingCalls {
 public:
  // Both outlive this.
  AcknowledgedCalls(ServerCalls& next, absl::Span<PushProgress> shards)
      : ForwardingCalls(next), next_(next), shards_(shards) {}

  // Calls that have ended otherwise than well, retried or not.
  int failures() const { return failures_; }

  void Exchange(ExchangeCall& call) override {
    const bool pushes = call.request.sequence() > 0;
    auto noted = std::make_shared<Noted>(*this, call);
    if (pushes) noted->progress().begun = noted->sequence();
    {
      absl::MutexLock lock(&mu_);
      noted_[&call] = noted;
    }
    next_.Exchange(*noted);
  }
  void Cancel(ExchangeCall& call) override {
    std::shared_ptr<Noted> noted;
    {
      absl::MutexLock lock(&mu_);
      const auto it = noted_.find(&call);
      if (it == noted_.end()) return;
      noted = it->second;
    }
    next_.Cancel(*noted);
  }

 private:
  class Noted final : public ExchangeCall {
   public:
    Noted(AcknowledgedCalls& owner, ExchangeCall& caller)
        : owner_(owner), caller_(caller) {
      request = caller.request;
      update = caller.update;
    }
    int64_t sequence() const {
      return static_cast<int64_t>(request.sequence());
    }
    PushProgress& progress() const {
      return owner_.shards_[static_cast<size_t>(request.shard())];
    }

    absl::Span<char> ReplyBuffer(size_t bytes) override {
      return caller_.ReplyBuffer(bytes);
    }
    void Finish(absl::Status status, pb::ExchangeReply reply) override {
      if (status.ok() && sequence() > 0) progress().acknowledged = sequence();
      if (!status.ok()) ++owner_.failures_;
      std::shared_ptr<Noted> self;
      {
        absl::MutexLock lock(&owner_.mu_);
        const auto it = owner_.noted_.find(&caller_);
        self = std::move(it->second);
        owner_.noted_.erase(it);
      }
      caller_.Finish(std::move(status), std::move(reply));
    }

   private:
    AcknowledgedCalls& owner_;
    ExchangeCall& caller_;
  };

  ServerCalls& next_;
  const absl::Span<PushProgress> shards_;
  std::atomic<int> failures_ = 0;
  absl::Mutex mu_;
  std::map<ExchangeCall*, std::shared_ptr<Noted>> noted_ ABSL_GUARDED_BY(mu_);
};

}  // namespace monsoon
