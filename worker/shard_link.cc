// SPDX-License-Identifier: Apache-2.0
#include "worker/shard_link.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutant.h"
#include "base/status_macros.h"
#include "worker/backoff.h"
#include "worker/request_words.h"

namespace monsoon {
namespace {

using Request = pb::ExchangeRequest;

// Of one server's shards: enough to keep the wire busy while one is applied,
// few enough that what is on its way stays in cache.
constexpr size_t kInFlight = 4;
// The same of vectors in a GPU's memory: enough to occupy a server's threads,
// few enough that those behind are copied meanwhile.
constexpr size_t kInFlightOfGpu = 12;

// An attempt that took longer was waiting at a server.
constexpr absl::Duration kReached = absl::Seconds(20);

// How long somebody who asks for the end may have to wait for it.
constexpr absl::Duration kLookAgain = absl::Milliseconds(100);

// The indices of `shards`, those of all servers in turn.
std::vector<size_t> InTurn(const std::vector<ShardRange>& shards,
                           size_t servers) {
  std::vector<size_t> position(shards.size()), next(servers);
  for (size_t i = 0; i < shards.size(); ++i) {
    position[i] = next[static_cast<size_t>(shards[i].server)]++;
  }
  std::vector<size_t> order(shards.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return position[a] < position[b];
  });
  return order;
}

bool MayRetry(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

// One shard's part of an exchange, from its first attempt to its success.
class ShardLink::Call final : public ExchangeCall {
 public:
  // Takes the time where `clock` is not null.
  Call(ServerCalls& server, std::unique_ptr<Event> done, const Clock* clock)
      : server_(server), done_(std::move(done)), clock_(clock) {}

  // The shard's part of the update goes along, and that of the reply comes.
  void SetUpdate(Packing& packing) {
    packs_ = &packing;
    request.set_coded(packing.codes_update());
  }
  void SetReply(Packing& packing) {
    unpacks_ = &packing;
    reply_memory_ = packing.Room(Shard());
    request.set_coded_reply(packing.codes_reply());
  }

  void Begin() {
    done_->Reset();
    received_ = 0;
    // Once: a repeat brings the same bytes, and what was lost is kept once.
    if (packs_ != nullptr && (update.empty() || Mutant("repeat-coded-anew"))) {
      const auto packed = packs_->Pack(Shard());
      if (!packed.ok()) {
        status_ = packed.status();
        done_->Set();
        return;
      }
      update = *packed;
    }
    if (++attempts_ > 1 && request.sequence() > 0 &&
        Mutant("retry-takes-new-number")) {
      request.set_sequence(request.sequence() + 1);
    }
    if (clock_ != nullptr && attempts_ == 1) begun_ = clock_->Now();
    server_.Exchange(*this);
  }
  Event& done() { return *done_; }
  // What the attempt came to; ends one that is not done.
  const absl::Status& End(bool is_done) {
    if (!is_done) {
      server_.Cancel(*this);
      done_->Wait(absl::InfiniteFuture());  // a cancelled call ends at once
      if (absl::IsCancelled(status_)) {
        status_ = absl::DeadlineExceededError(status_.message());
      }
    }
    if (status_.ok() && unpacks_ != nullptr) Unpack();
    return status_;
  }

  absl::Span<char> ReplyBuffer(size_t bytes) override {
    // A reply of another size is taken by nobody; Finish reports it.
    received_ = bytes;
    if (bytes == reply_memory_.size()) return reply_memory_;
    stray_.resize(bytes);
    return absl::MakeSpan(stray_);
  }
  void Finish(absl::Status status, pb::ExchangeReply head) override {
    status_ = std::move(status);
    if (status_.ok() && received_ != reply_memory_.size() &&
        !Mutant("cut-reply-accepted")) {
      status_ = absl::InternalError(
          absl::StrCat("shard ", request.shard(), ": the reply has ", received_,
                       " bytes of values, expected ", reply_memory_.size()));
    } else if (status_.ok() && head.coded() != request.coded_reply()) {
      status_ = absl::InternalError(
          absl::StrCat("shard ", request.shard(), ": the reply is ",
                       head.coded() ? "" : "not ", "coded, which was ",
                       request.coded_reply() ? "" : "not ", "asked for"));
    }
    reply = std::move(head);
    if (clock_ != nullptr) ended_ = clock_->Now();
    done_->Set();
  }

  int attempts() const { return attempts_; }
  // From the first attempt to the answer. REQUIRES: it has taken the time.
  TraceSpan Span(int server) const {
    return SpanOf({request, reply, server, update.size(), reply_memory_.size(),
                   begun_, ended_});
  }
  const absl::Status& status() const { return status_; }
  // Of a call that is over.
  std::unique_ptr<Event> TakeEvent() { return std::move(done_); }

  bool succeeded = false;
  pb::ExchangeReply reply;

  bool pulls() const { return unpacks_ != nullptr; }
  size_t reply_bytes() const { return reply_memory_.size(); }

 private:
  size_t Shard() const { return static_cast<size_t>(request.shard()); }
  void Unpack() {
    const absl::Status decoded = unpacks_->Unpack(Shard());
    if (decoded.ok()) return;
    status_ = absl::InternalError(
        absl::StrCat("shard ", request.shard(),
                     ": the coded reply is corrupt: ", decoded.message()));
  }

  ServerCalls& server_;
  std::unique_ptr<Event> done_;
  const Clock* const clock_;
  absl::Time begun_, ended_;
  int attempts_ = 0;
  absl::Status status_;
  Packing* packs_ = nullptr;
  Packing* unpacks_ = nullptr;
  absl::Span<char> reply_memory_;
  size_t received_ = 0;  // bytes of the attempt's reply
  std::vector<char> stray_;
};

ShardLink::ShardLink(Config config, Clock& clock)
    : config_(std::move(config)),
      clock_(clock),
      jitter_({config_.incarnation, Random::kRetry,
               static_cast<uint64_t>(config_.worker)}),
      order_(InTurn(config_.shards, config_.servers.size())),
      sequences_(config_.shards.size()),
      versions_(config_.shards.size()),
      versions_before_(config_.shards.size()),
      packing_({.shards = config_.shards,
                .order = order_,
                // An observer pulls float32.
                .wire = config_.worker < 0 ? Wire{} : config_.wire,
                .parameters = config_.parameters,
                .copies = config_.copies}) {}

ShardLink::~ShardLink() = default;

int64_t ShardLink::MaxLead(const Freshness& need) const {
  if (config_.worker < 0) return need.max_lead;
  return std::min(need.max_lead, config_.max_lead);
}

absl::Status ShardLink::Initialize(const Flat& center) {
  return Exchange(Request::INITIALIZE, &center, nullptr, 0, {}, {});
}

absl::Status ShardLink::Pull(Flat& center, Freshness need) {
  return Exchange(Request::PULL, nullptr, &center, 0, need, {});
}

absl::Status ShardLink::PullResult(int worker, Flat& x) {
  result_of_ = worker;
  absl::Status status = Pull(x);
  result_of_ = -1;
  return status;
}

absl::Status ShardLink::Map(Flat& x) {
  if (config_.servers.size() != 1) return Link::Map(x);
  return config_.servers[0]->Map(config_.job_id, config_.worker,
                                 config_.incarnation, x);
}

absl::Status ShardLink::Push(const Flat& update, float weight) {
  return Push(update, weight, TakeAccount());
}

absl::Status ShardLink::Push(const Flat& update, float weight,
                             const Account& account) {
  return Exchange(Request::PUSH, &update, nullptr, weight, {}, account);
}

absl::Status ShardLink::PushPull(const Flat& update, Flat& reply, float weight,
                                 Freshness need) {
  return PushPull(update, reply, weight, need, TakeAccount());
}

absl::Status ShardLink::PushPull(const Flat& update, Flat& reply, float weight,
                                 Freshness need, const Account& account) {
  if (need.rounds > 0 || MaxLead(need) != kUnbounded) {
    // First all pushes: a shard that waits for the others' pushes must not keep
    // back the repeat of a lost one, for which they wait at another shard.
    RETURN_IF_ERROR(Push(update, weight, account));
    const Answer pushed = last_;
    Account after = account;
    after.follows_push = true;
    RETURN_IF_ERROR(Exchange(Request::PULL, nullptr, &reply, 0, need, after));
    last_.staleness = pushed.staleness;
    last_.refused = pushed.refused;
    return absl::OkStatus();
  }
  return Exchange(Request::PUSH_PULL, &update, &reply, weight, need, account);
}

ShardLink::Account ShardLink::TakeAccount() {
  if (replica_ == nullptr) return {};
  const bool is_taken = replica_->step == accounted_step_;
  accounted_step_ = replica_->step;
  return {.local_steps = is_taken ? 0 : replica_->pending,
          .samples = is_taken ? 0 : replica_->pending_samples,
          .lr_factor = replica_->lr_factor()};
}

ShardLink::Counters ShardLink::counters() const {
  absl::MutexLock lock(&mu_);
  return counters_;
}

absl::Status ShardLink::Exchange(Request::Kind kind, const Flat* update,
                                 Flat* reply, float weight, Freshness need,
                                 const Account& account) {
  const bool pushes = kind == Request::PUSH || kind == Request::PUSH_PULL;
  const int64_t max_lead = reply == nullptr ? kUnbounded : MaxLead(need);
  RETURN_IF_ERROR(BeginPacking(pushes, update, reply));
  // A shard that is ahead of others, and waited to be one more round ahead, may
  // wait for this very worker's push.
  const int64_t oldest = *std::min_element(versions_.begin(), versions_.end());
  for (size_t place = 0; place < order_.size(); ++place) {
    const size_t i = order_[place];
    const ShardRange& range = config_.shards[i];
    ServerCalls& server = *config_.servers[static_cast<size_t>(range.server)];
    Call* call = &NewCall(place, server);
    Request& request = call->request;
    request.set_kind(kind);
    request.set_job_id(config_.job_id);
    request.set_worker(config_.worker);
    request.set_incarnation(config_.incarnation);
    request.set_shard(static_cast<int>(i));
    const bool only_pulls = !pushes && !account.follows_push;
    request.set_rounds(std::max<int64_t>(
        0, need.rounds - (only_pulls ? versions_[i] - oldest : 0)));
    request.set_max_lead(max_lead == kUnbounded ? -1 : max_lead);
    if (result_of_ >= 0) request.set_result_of(result_of_);
    if (need.rounds > 0) request.set_base_version(versions_[i]);
    if (pushes) FillPush(request, i, weight, account);
    call->is_on_device = packing_.is_on_device();
    if (update != nullptr) call->SetUpdate(packing_);
    if (reply != nullptr) call->SetReply(packing_);
  }
  const bool awaits_others = need.rounds > 0 || max_lead != kUnbounded;
  RETURN_IF_ERROR(Send(awaits_others, account.is_behind, account.follows_push));
  Count(account.follows_push);
  return packing_.End();
}

absl::Status ShardLink::BeginPacking(bool pushes, const Flat* update,
                                     Flat* reply) {
  const auto lies_there = [](const Flat* vector) {
    return vector == nullptr || vector->queue() != nullptr;
  };
  const bool are_taken = std::all_of(
      config_.servers.begin(), config_.servers.end(),
      [](const ServerCalls* server) { return server->takes_device_memory(); });
  const bool has_code =
      config_.wire.push != nullptr || config_.wire.reply != nullptr;
  return packing_.Begin({.update = update,
                         .reply = reply,
                         .is_push = pushes,
                         .is_handed_over = are_taken && !has_code &&
                                           lies_there(update) &&
                                           lies_there(reply)});
}

absl::Status ShardLink::Send(bool awaits_others, bool is_beside,
                             bool follows_push) {
  const absl::Duration limit =
      awaits_others ? config_.patience : config_.timeout;
  const absl::Time begin = clock_.Now();
  const absl::Time deadline =
      Mutant("never-gives-up") ? absl::InfiniteFuture() : begin + limit;
  Backoff backoff(jitter_);
  const Call* failed = Round(deadline, is_beside);
  // A server that fails is given no longer than for a call that does not wait,
  // each time anew when one had been reached for a while.
  absl::Time last_try = awaits_others
                            ? std::min(deadline, clock_.Now() + config_.timeout)
                            : deadline;
  while (failed != nullptr && MayRetry(failed->status()) &&
         !Mutant("gives-up-at-once")) {
    RETURN_IF_ERROR(packing_.status());  // no attempt mends the GPU
    if (Mutant("retries-counted")) Count(follows_push);
    Wait(*clock_.NewEvent(), std::min(last_try, clock_.Now() + backoff.Next()));
    if (!Interrupted().ok() || clock_.Now() >= last_try ||
        failed->attempts() >= config_.attempts) {
      return GaveUp(*failed, begin, limit);
    }
    const absl::Time asked = clock_.Now();
    failed = Round(deadline, is_beside);
    if (awaits_others && clock_.Now() - asked > kReached) {
      last_try = std::min(deadline, clock_.Now() + config_.timeout);
    }
  }
  return failed == nullptr ? absl::OkStatus() : failed->status();
}

void ShardLink::FillPush(Request& request, size_t i, float weight,
                         const Account& account) {
  request.set_sequence(static_cast<uint64_t>(++sequences_[i]));
  request.set_weight(weight);
  request.set_local_steps(account.local_steps);
  request.set_samples(account.samples);
  const bool is_behind = account.is_behind && !Mutant("fresh-base-claimed");
  request.set_base_version(is_behind ? versions_before_[i] : versions_[i]);
  if (account.lr_factor != 1) request.set_lr_factor(account.lr_factor);
}

absl::Status ShardLink::Interrupted() const {
  return config_.interrupted ? config_.interrupted() : absl::OkStatus();
}

bool ShardLink::Wait(Event& done, absl::Time deadline) const {
  if (!config_.interrupted) return done.Wait(deadline);
  while (Interrupted().ok()) {
    const absl::Time until = std::min(deadline, clock_.Now() + kLookAgain);
    if (done.Wait(until)) return true;
    if (until == deadline) return false;
  }
  return done.Wait(absl::InfinitePast());
}

absl::Status ShardLink::GaveUp(const Call& call, absl::Time begin,
                               absl::Duration limit) const {
  RETURN_IF_ERROR(Interrupted());
  const Request& request = call.request;
  const auto shard = static_cast<size_t>(request.shard());
  const bool awaits_others =
      (request.rounds() > 0 || request.max_lead() >= 0) &&
      absl::IsDeadlineExceeded(call.status());
  const absl::Duration waited =
      absl::Trunc(clock_.Now() - begin, absl::Milliseconds(100));
  return absl::Status(
      call.status().code(),
      absl::StrCat(
          "worker ", request.worker(), ", shard ", request.shard(),
          " of server ", config_.shards[shard].server, ": ", Asked(request),
          ": no answer for ", absl::FormatDuration(waited), " after ",
          call.attempts(), call.attempts() == 1 ? " attempt" : " attempts",
          ", expected one within ", absl::FormatDuration(limit), " and ",
          config_.attempts, " attempts; the last: ", call.status().message(),
          awaits_others ? "; see whether the workers for which it waits still "
                          "run, and the server"
                        : "; see whether the server runs and can be reached"));
}

ShardLink::Call& ShardLink::NewCall(size_t i, ServerCalls& server) {
  const Clock* const clock = config_.trace == nullptr ? nullptr : &clock_;
  if (i == calls_.size()) {
    calls_.push_back(std::make_unique<Call>(server, clock_.NewEvent(), clock));
  } else {
    Call* spent = calls_[i].get();
    std::unique_ptr<Event> event = spent->TakeEvent();
    std::destroy_at(spent);
    std::construct_at(spent, server, std::move(event), clock);
  }
  return *calls_[i];
}

const ShardLink::Call* ShardLink::Round(absl::Time deadline, bool is_beside) {
  TraceSpan wait = {.kind = TraceKind::kWait,
                    .is_beside = is_beside,
                    .begin = absl::InfiniteFuture()};
  const size_t in_flight =
      (config_.copies == nullptr ? kInFlight : kInFlightOfGpu) *
      config_.servers.size();
  const Call* failed = nullptr;
  size_t begun = 0;
  size_t end = calls_.size() - (Mutant("last-shard-dropped") ? 1 : 0);
  for (size_t i = 0; i < end; ++i) {
    for (; begun < std::min(end, i + in_flight); ++begun) {
      if (!calls_[begun]->succeeded) calls_[begun]->Begin();
    }
    Call& call = *calls_[i];
    if (call.succeeded) continue;
    if (config_.trace != nullptr && begun == end) {
      wait.begin = std::min(wait.begin, clock_.Now());
    }
    const absl::Status& status = call.End(Wait(call.done(), deadline));
    call.succeeded = status.ok();
    if (status.ok()) continue;
    if (failed == nullptr ||
        (MayRetry(failed->status()) && !MayRetry(status))) {
      failed = &call;
    }
    // The rest follows when this one was repeated: who waits for other workers
    // must not have passed a shard that they wait for.
    end = begun;
  }
  if (wait.begin != absl::InfiniteFuture()) {
    wait.end = clock_.Now();
    config_.trace->Add(wait);
  }
  return failed;
}

void ShardLink::Count(bool follows_push) {
  const Request& request = calls_.front()->request;
  const bool pushes = request.sequence() > 0;
  const bool pulls = calls_.front()->pulls();
  absl::MutexLock lock(&mu_);
  counters_.pushes += pushes ? 1 : 0;
  counters_.pulls += pulls ? 1 : 0;
  if (calls_.front()->reply.refused()) {
    counters_.samples_refused += request.samples();
  }
  last_ = {.version = kUnbounded};
  for (const auto& call : calls_) {
    last_.version = std::min(last_.version, call->reply.version());
    last_.staleness = std::max(last_.staleness, call->reply.staleness());
    last_.refused = last_.refused || call->reply.refused();
    counters_.bytes_up += static_cast<int64_t>(call->update.size());
    counters_.bytes_down += static_cast<int64_t>(call->reply_bytes());
    if (pushes) ++counters_.staleness[call->reply.staleness()];
    const auto shard = static_cast<size_t>(call->request.shard());
    if (config_.trace != nullptr) {
      config_.trace->Add(call->Span(config_.shards[shard].server));
    }
    if (!pulls) continue;
    const int64_t version = call->reply.version();
    versions_before_[shard] =
        pushes || follows_push ? versions_[shard] : version;
    versions_[shard] = version;
  }
}

}  // namespace monsoon
