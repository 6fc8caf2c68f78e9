// SPDX-License-Identifier: Apache-2.0
#include "transport/faulty.h"

#include <algorithm>
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
  Attempt(FaultyCalls& owner, ExchangeCall& caller, const Fate& fate)
      : owner_(owner), fate_(fate), caller_(&caller) {
    request = caller.request;
    update = caller.update;
    if (!fate.cut) return;
    update = update.first(
        static_cast<size_t>(static_cast<double>(update.size()) * fate.keeps));
  }

  // The memory of who does not wait may go.
  void KeepValues() {
    kept_.assign(update.begin(), update.end());
    update = kept_;
  }
  // The caller gives up before this was sent: it goes its way without one.
  // Null: too late for that.
  ExchangeCall* Leave() {
    absl::MutexLock lock(&owner_.mu_);
    if (sent_ || caller_ == nullptr) return nullptr;
    owner_.attempts_.erase(caller_);
    owner_.attempts_[this] = shared_from_this();
    return std::exchange(caller_, nullptr);
  }
  void Send() {
    const auto self = shared_from_this();  // Finish may come meanwhile
    {
      absl::MutexLock lock(&owner_.mu_);
      sent_ = true;
    }
    owner_.next_.Exchange(*this);
    // A cancellation that came before the server knew the call.
    if (cancelled()) owner_.next_.Cancel(*this);
  }
  void Cancel() {
    {
      absl::MutexLock lock(&owner_.mu_);
      cancelled_ = true;
    }
    owner_.next_.Cancel(*this);
  }

  absl::Span<char> ReplyBuffer(size_t bytes) override {
    values_.resize(bytes);
    return absl::MakeSpan(values_);
  }
  void Finish(absl::Status status, pb::ExchangeReply reply) override {
    if (std::exchange(fate_.duplicate, false) && !cancelled()) {
      values_.clear();
      return Send();
    }
    const auto self = shared_from_this();
    ExchangeCall* caller = nullptr;
    {
      absl::MutexLock lock(&owner_.mu_);
      caller = std::exchange(caller_, nullptr);
      owner_.attempts_.erase(caller != nullptr ? caller : this);
    }
    if (caller == nullptr) return;
    if (fate_.drop_after || fate_.cut) return caller->Finish(Lost(), {});
    if (status.ok() && !values_.empty()) {
      const absl::Span<char> room = caller->ReplyBuffer(values_.size());
      std::copy_n(values_.begin(), room.size(), room.begin());
    }
    caller->Finish(std::move(status), std::move(reply));
  }

 private:
  bool cancelled() const {
    absl::MutexLock lock(&owner_.mu_);
    return cancelled_;
  }

  FaultyCalls& owner_;
  Fate fate_;
  std::vector<char> kept_;
  std::vector<char> values_;
  // Under the owner's lock:
  ExchangeCall* caller_;  // null: nobody waits for it any more
  bool sent_ = false;
  bool cancelled_ = false;
};

FaultyCalls::FaultyCalls(ServerCalls& next, Random random, Faults faults,
                         After after)
    : next_(next), faults_(faults), after_(std::move(after)), random_(random) {}

FaultyCalls::~FaultyCalls() {
  std::map<ExchangeCall*, std::shared_ptr<Attempt>> parked;
  {
    absl::MutexLock lock(&mu_);
    parked = attempts_;
  }
  for (const auto& [key, attempt] : parked) attempt->Cancel();
}

FaultyCalls::Fate FaultyCalls::Draw() {
  absl::MutexLock lock(&mu_);
  const auto happens = [&](double probability) ABSL_EXCLUSIVE_LOCKS_REQUIRED(
                           mu_) { return random_.Uniform(0, 1) < probability; };
  Fate fate{};
  fate.drop_before = happens(faults_.drop_before);
  fate.cut = happens(faults_.cut);
  fate.drop_after = happens(faults_.drop_after);
  fate.duplicate = happens(faults_.duplicate);
  fate.delay = happens(faults_.delay);
  fate.late = happens(faults_.late);
  fate.after = faults_.max_delay * random_.Uniform(0, 1);
  fate.keeps = random_.Uniform(0, 1);
  return fate;
}

template <auto method, typename Request, typename Reply>
absl::Status FaultyCalls::Control(const Request& request, Reply& reply) {
  const Fate fate = Draw();
  if (fate.drop_before) return Lost();
  if (fate.late) {
    after_(fate.after, [this, request] {
      Reply nobodys;
      (next_.*method)(request, nobodys).IgnoreError();
    });
    return Lost();
  }
  if (fate.duplicate) {
    Reply first;
    (next_.*method)(request, first).IgnoreError();
  }
  const absl::Status status = (next_.*method)(request, reply);
  return fate.drop_after ? Lost() : status;
}

absl::Status FaultyCalls::GetJob(const pb::GetJobRequest& request,
                                 pb::JobStatus& reply) {
  return Control<&ServerCalls::GetJob>(request, reply);
}
absl::Status FaultyCalls::Join(const pb::JoinRequest& request,
                               pb::JoinReply& reply) {
  return Control<&ServerCalls::Join>(request, reply);
}
absl::Status FaultyCalls::Report(const pb::ReportRequest& request,
                                 pb::ReportReply& reply) {
  return Control<&ServerCalls::Report>(request, reply);
}

void FaultyCalls::Exchange(ExchangeCall& call) {
  const Fate fate = Draw();
  if (fate.drop_before) return call.Finish(Lost(), {});
  const auto attempt = std::make_shared<Attempt>(*this, call, fate);
  {
    absl::MutexLock lock(&mu_);
    attempts_[&call] = attempt;
  }
  if (!fate.delay && !fate.late) return attempt->Send();
  attempt->KeepValues();
  if (fate.late) attempt->Leave();
  after_(fate.after, [attempt] { attempt->Send(); });
  if (fate.late) call.Finish(Lost(), {});
}

void FaultyCalls::Cancel(ExchangeCall& call) {
  std::shared_ptr<Attempt> attempt;
  {
    absl::MutexLock lock(&mu_);
    const auto it = attempts_.find(&call);
    if (it == attempts_.end()) return;
    attempt = it->second;
  }
  if (ExchangeCall* left = attempt->Leave()) {
    return left->Finish(absl::CancelledError("the caller gave up waiting"), {});
  }
  attempt->Cancel();
}

}  // namespace monsoon
