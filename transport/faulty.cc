// SPDX-License-Identifier: Apache-2.0
#include "transport/faulty.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

namespace monsoon {
namespace {

absl::Status Lost() {
  return absl::UnavailableError("the call was lost (a fault for a test)");
}

}  // namespace

// Stands in for the caller's exchange, once or twice.
class FaultyCalls::Attempt final
    : public ExchangeCall,
      public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(FaultyCalls& owner, ExchangeCall& caller, Fate fate)
      : owner_(owner), caller_(caller), fate_(fate) {
    request = caller.request;
    update = caller.update;
  }

  void Send() {
    const auto self = shared_from_this();  // Finish may come meanwhile
    owner_.next_.Exchange(*this);
    // A cancellation that came before the server knew the call.
    if (cancelled_) owner_.next_.Cancel(*this);
  }
  void Cancel() {
    cancelled_ = true;
    owner_.next_.Cancel(*this);
  }

  absl::Span<char> ReplyBuffer(size_t bytes) override {
    values_.resize(bytes);
    return absl::MakeSpan(values_);
  }
  void Finish(absl::Status status, pb::ExchangeReply reply) override {
    if (std::exchange(fate_.duplicate, false) && !cancelled_) {
      values_.clear();
      return Send();
    }
    const auto self = shared_from_this();
    {
      absl::MutexLock lock(&owner_.mu_);
      owner_.attempts_.erase(&caller_);
    }
    if (fate_.drop_after) return caller_.Finish(Lost(), {});
    if (status.ok() && !values_.empty()) {
      const absl::Span<char> room = caller_.ReplyBuffer(values_.size());
      std::copy_n(values_.begin(), room.size(), room.begin());
    }
    caller_.Finish(std::move(status), std::move(reply));
  }

 private:
  FaultyCalls& owner_;
  ExchangeCall& caller_;
  Fate fate_;
  std::vector<char> values_;
  std::atomic<bool> cancelled_ = false;
};

FaultyCalls::FaultyCalls(ServerCalls& next, Random random, Faults faults)
    : next_(next), faults_(faults), random_(random) {}

FaultyCalls::~FaultyCalls() = default;

FaultyCalls::Fate FaultyCalls::Draw() {
  absl::MutexLock lock(&mu_);
  const auto happens = [&](double probability) ABSL_EXCLUSIVE_LOCKS_REQUIRED(
                           mu_) { return random_.Uniform(0, 1) < probability; };
  Fate fate{};
  fate.drop_before = happens(faults_.drop_before);
  fate.drop_after = happens(faults_.drop_after);
  fate.duplicate = happens(faults_.duplicate);
  return fate;
}

template <typename Call>
absl::Status FaultyCalls::Control(Call call) {
  const Fate fate = Draw();
  if (fate.drop_before) return Lost();
  if (fate.duplicate) call().IgnoreError();
  const absl::Status status = call();
  return fate.drop_after ? Lost() : status;
}

absl::Status FaultyCalls::GetJob(const pb::GetJobRequest& request,
                                 pb::JobStatus& reply) {
  return Control([&] { return next_.GetJob(request, reply); });
}
absl::Status FaultyCalls::Join(const pb::JoinRequest& request,
                               pb::JoinReply& reply) {
  return Control([&] { return next_.Join(request, reply); });
}
absl::Status FaultyCalls::Report(const pb::ReportRequest& request,
                                 pb::ReportReply& reply) {
  return Control([&] { return next_.Report(request, reply); });
}

void FaultyCalls::Exchange(ExchangeCall& call) {
  const Fate fate = Draw();
  if (fate.drop_before) return call.Finish(Lost(), {});
  const auto attempt = std::make_shared<Attempt>(*this, call, fate);
  {
    absl::MutexLock lock(&mu_);
    attempts_[&call] = attempt;
  }
  attempt->Send();
}

void FaultyCalls::Cancel(ExchangeCall& call) {
  std::shared_ptr<Attempt> attempt;
  {
    absl::MutexLock lock(&mu_);
    const auto it = attempts_.find(&call);
    if (it == attempts_.end()) return;
    attempt = it->second;
  }
  attempt->Cancel();
}

}  // namespace monsoon
