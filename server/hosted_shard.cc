// SPDX-License-Identifier: Apache-2.0
#include "server/hosted_shard.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/device_queue.h"
#include "base/mutant.h"
#include "base/status_macros.h"
#include "trainers/elements.h"
#include "trainers/server_elements.h"

namespace monsoon {
namespace {

using Request = pb::ExchangeRequest;

// The histogram's last entry stands for more, too: a foreign worker says what
// it likes, and everybody who asks for the job's status gets the histogram.
constexpr int64_t kMostStaleness = 4096;
// No sum that stays below it can round to infinity.
constexpr double kSafe = std::numeric_limits<float>::max() / 2;

}  // namespace

HostedShard::HostedShard(int index, Flat memory, int64_t statistics,
                         const Rules& rules)
    : index_(index),
      size_(memory.size()),
      trainer_(rules.trainer),
      keeps_seen_(trainer_.traits().keeps_seen),
      reach_(trainer_.traits().reach),
      synchronous_(trainer_.traits().synchronous),
      job_samples_(rules.samples),
      max_staleness_(rules.max_staleness),
      codes_{{rules.wire.push.get(), size_, statistics},
             {rules.wire.reply.get(), size_, statistics}},
      queue_(memory.queue()),
      clock_(rules.clock),
      shard_(std::move(memory), statistics),
      round_(size_, shard_.memory()),
      values_(index, shard_, codes_, trainer_.traits().maps_center) {
  if (codes_.reply) shard_.reply_code = &codes_.reply;
}

void HostedShard::Exchange(ExchangeCall& call) {
  absl::StatusOr<float> largest = 0.0f;
  const absl::Status checked =
      CheckRequest(call, index_, size_, codes_, queue_ != nullptr);
  if (!checked.ok()) {
    largest = checked;
  } else if (CallValues::IsReady(call, queue_)) {
    const absl::Span<const float> update = AsFloats(call.update);
    largest = CheckValues(
        Flat::View(update.data(), static_cast<int64_t>(update.size())),
        call.request.worker(), index_);
  }
  if (!largest.ok()) {
    call.Finish(largest.status(), {});
    return;
  }
  ReadyCalls ready;
  {
    absl::MutexLock lock(&mu_);
    Serve(call, *largest, ready);
    if (!parked_.empty()) CloseRounds().IgnoreError();  // who waits learns why
    Settle(ready);
  }
  Finish(ready);
}

void HostedShard::Serve(ExchangeCall& call, float largest, ReadyCalls& ready) {
  absl::Status checked = CheckSender(call.request);
  checked.Update(CheckBase(call.request, index_, shard_.version));
  if (!checked.ok()) {
    ready.push_back({&call, std::move(checked), {}});
  } else if (call.request.kind() == Request::INITIALIZE) {
    Initialize(call, largest, ready);
  } else if (Pushes(call.request)) {
    Push(call, largest, ready);
  } else {
    parked_.push_back(&call);  // answered right after, if it need not wait
  }
}

void HostedShard::Initialize(ExchangeCall& call, float largest,
                             ReadyCalls& ready) {
  absl::Status taken = values_.Take(call, largest);
  const bool is_first = !initialized_ || Mutant("initial-center-replaced");
  if (taken.ok() && is_first) {
    shard_.center.CopyFrom(values_.Of(call));
    initialized_ = true;
  }
  ready.push_back({&call, std::move(taken), ReplyHead(call)});
}

// Under the lock of the shard: the job looked before, but its answer may be old
// by now.
absl::Status HostedShard::CheckSender(const Request& request) const {
  const auto it = peers_.find(request.worker());
  if (it == peers_.end() || it->second.incarnation == 0 ||
      it->second.incarnation == request.incarnation() ||
      Mutant("shard-serves-past-self")) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat(Sender(request.worker(), index_),
                   "this process was replaced by a newer one; nothing of the "
                   "call was applied"));
}

absl::Status HostedShard::CheckPush(const Request& request,
                                    const Peer& peer) const {
  if (!stopped_.ok()) return stopped_;
  const auto sequence = static_cast<int64_t>(request.sequence());
  if (!initialized_) {
    return absl::FailedPreconditionError(
        absl::StrCat(Sender(request.worker(), index_),
                     "pushed before the initial center came; pull first"));
  }
  // Or one worker could fill the memory of a round that waits for others.
  if (synchronous_ && sequence == peer.sequence + 1 &&
      peer.round == shard_.version) {
    return absl::FailedPreconditionError(absl::StrCat(
        Sender(request.worker(), index_), "a second push in round ",
        shard_.version, ", expected one; pull with rounds = 1 first"));
  }
  if (sequence == peer.sequence + 1 ||
      (sequence == peer.sequence && sequence > 0 &&
       !Mutant("less-for-less-or-equal")) ||
      (sequence > peer.sequence && Mutant("gap-accepted")) ||
      (sequence < peer.sequence && Mutant("late-push-applied"))) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      Sender(request.worker(), index_), "push number ", sequence,
      " came after ", peer.sequence, ", expected ", peer.sequence + 1));
}

void HostedShard::Push(ExchangeCall& call, float largest, ReadyCalls& ready) {
  const Request& request = call.request;
  Peer& peer = peers_[request.worker()];
  absl::Status status = CheckPush(request, peer);
  const auto sequence = static_cast<int64_t>(request.sequence());
  const bool repeated = sequence == peer.sequence && !Mutant("dedupe-skipped");
  if (status.ok()) status = values_.Take(call, largest);
  const Flat value = values_.Of(call);
  const int64_t from =
      request.has_base_version() ? request.base_version() : peer.base;
  const Update update{value,
                      request.weight(),
                      request.worker(),
                      repeated ? peer.staleness : shard_.version - from,
                      request.local_steps(),
                      request.samples(),
                      Progress(),
                      request.has_lr_factor() ? request.lr_factor() : 1.0f};
  if (status.ok() && !repeated) status = Admit(update, largest);
  if (!status.ok()) {
    ready.push_back({&call, std::move(status), {}});
    return;
  }
  if (repeated && Mutant("refusal-forgotten")) peer.refused = false;
  if (repeated && Mutant("samples-counted-again")) {
    counters_.samples_applied += request.samples();
  }
  const int64_t base = peer.base;
  peer.sequence = sequence;
  peer.staleness = update.staleness;
  if (!repeated) {
    ++peer.clock;
    ++counters_.staleness[std::min(update.staleness, kMostStaleness)];
  }
  if (!Pulls(request)) {
    ready.push_back({&call, absl::OkStatus(), ReplyHead(call)});
  } else if (Waits(request)) {
    parked_.push_back(&call);
  } else {
    const bool is_center =
        peer.refused || (repeated && Mutant("repeat-answered-with-center"));
    Answer(call, is_center ? shard_.center : trainer_.Reply(update, shard_),
           ready);
    if (repeated && Mutant("repeat-moves-no-base")) peer.base = base;
  }
}

double HostedShard::Progress() const {
  return static_cast<double>(counters_.samples_applied) /
         static_cast<double>(std::max<int64_t>(1, job_samples_));
}

absl::Status HostedShard::Admit(const Update& update, float largest) {
  const bool is_too_old = update.staleness > max_staleness_;
  const float discount = is_too_old ? 0 : trainer_.Discount(update);
  peers_[update.worker].refused = discount == 0;
  if (discount == 0) {
    counters_.samples_refused += update.samples;
    return absl::OkStatus();
  }
  if (discount != 1) {
    if (discounted_.empty()) discounted_ = Flat(size_, shard_.memory());
    ForEach(Discounted{discount}, discounted_, update.value);
  }
  const Update worth{discount == 1 ? update.value : discounted_,
                     update.weight,
                     update.worker,
                     update.staleness,
                     update.local_steps,
                     update.samples,
                     update.progress,
                     update.lr_factor};
  const double worth_largest = double{largest} * std::abs(discount);
  const bool is_round =
      round_.count() > 0 || trainer_.Quorum(shard_.version, live_) > 1;
  if (!is_round) return Apply(worth, worth_largest);
  const int64_t round = shard_.version;
  RETURN_IF_ERROR(Gather(worth, worth_largest));
  peers_[update.worker].round = round;
  return absl::OkStatus();
}

absl::Status HostedShard::Apply(const Update& update, double largest) {
  const double reach = double{reach_} * std::max(1.0f, update.lr_factor);
  const auto farthest = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return bound_ + reach * (bound_ + largest);
  };
  if (std::isfinite(reach) && !(farthest() < kSafe)) {
    bound_ = Largest(shard_.center);
  }
  const double bound = farthest();
  if (bound < kSafe) {  // nothing to check
    trainer_.Apply(update, shard_);
    bound_ = bound;
  } else {
    const auto apply = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      trainer_.Apply(update, shard_);
    };
    if (Mutant("applied-before-checked")) apply();
    if (!shard_.Try(apply)) return Diverges(update.worker, index_, largest);
    bound_ = std::numeric_limits<double>::infinity();  // not known
  }
  ++shard_.version;
  counters_.samples_applied += update.samples;
  counters_.last_apply = clock_.Now();
  return absl::OkStatus();
}

absl::Status HostedShard::Gather(const Update& update, double largest) {
  if (!(round_.bound() + double{update.weight} * largest < kSafe)) {
    return Diverges(update.worker, index_, largest);
  }
  round_.Add(update, largest);
  return CloseRounds();
}

absl::Status HostedShard::CloseRounds() {
  while (true) {
    const int quorum = trainer_.Quorum(shard_.version, live_);
    if (quorum <= 0 && round_.count() == 0 && AwaitsRound()) {
      ++shard_.version;
      continue;
    }
    // A round closes when enough have pushed; a departure may lower "enough".
    const int64_t enough =
        synchronous_ ? round_.CountOf(live_) : round_.count();
    if (round_.count() == 0 || enough < quorum) return absl::OkStatus();
    const Update mean = round_.Mean(Progress());
    absl::Status applied = Apply(mean, Largest(mean.value));
    round_.Clear();
    if (applied.ok()) continue;
    // The others of the round wait for it, or will: all of them must end.
    stopped_ = applied;
    return applied;
  }
}

bool HostedShard::AwaitsRound() const {
  return stopped_.ok() && !live_.empty() &&
         std::any_of(parked_.begin(), parked_.end(),
                     [&](const ExchangeCall* call)
                         ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
                           return !HasRounds(*call);
                         });
}

// From the version that the worker says it has: what this shard has answered
// last may never have arrived.
bool HostedShard::HasRounds(const ExchangeCall& call) const {
  const Request& request = call.request;
  const auto it = peers_.find(request.worker());
  int64_t base = it == peers_.end() ? 0 : it->second.base;
  if (request.has_base_version()) {
    base = request.base_version();
  }
  return shard_.version >= base + request.rounds();
}

bool HostedShard::MayAnswer(const ExchangeCall& call) const {
  if (!initialized_ || !HasRounds(call)) return false;
  if (call.request.max_lead() < 0) return true;
  const int worker = call.request.worker();
  const auto it = peers_.find(worker);
  const int64_t own = it == peers_.end() ? 0 : it->second.clock;
  return own - Slowest(live_, worker, own) <= call.request.max_lead();
}

int64_t HostedShard::Slowest(const std::vector<int>& workers, int except,
                             int64_t none) const {
  int64_t slowest = kUnbounded;
  for (int worker : workers) {
    if (worker == except) continue;
    const auto it = peers_.find(worker);
    slowest = std::min(slowest, it == peers_.end() ? 0 : it->second.clock);
  }
  return slowest == kUnbounded ? none : slowest;
}

const Flat* HostedShard::Pulled(const Request& request) {
  if (request.has_result_of()) {
    return trainer_.ReplicaOf(request.result_of(), shard_);
  }
  if (!Pushes(request) || peers_[request.worker()].refused) {
    return &shard_.center;
  }
  return &trainer_.Reply({.value = shard_.center, .worker = request.worker()},
                         shard_);
}

void HostedShard::AnswerParked(ReadyCalls& ready) {
  const auto answer =
      [&](ExchangeCall* call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        absl::Status sender = CheckSender(call->request);
        if (!sender.ok() && !Mutant("past-pull-answered")) {
          ready.push_back({call, std::move(sender), {}});
          return true;
        }
        if (!MayAnswer(*call)) return false;
        const Flat* values = Pulled(call->request);
        if (values == nullptr) {
          ready.push_back({call, NoResult(call->request, index_), {}});
        } else {
          Answer(*call, *values, ready);
        }
        return true;
      };
  parked_.erase(std::remove_if(parked_.begin(), parked_.end(), answer),
                parked_.end());
  if (!stopped_.ok()) EndParked(ready);
}

void HostedShard::EndParked(ReadyCalls& ready) {
  for (ExchangeCall* call : parked_) ready.push_back({call, stopped_, {}});
  parked_.clear();
}

void HostedShard::Settle(ReadyCalls& ready) {
  AnswerParked(ready);
  if (queue_ == nullptr || ready.empty()) return;
  const absl::Status done = queue_->Wait();
  if (done.ok()) return;
  stopped_ = DeviceFailed(done, index_);
  EndParked(ready);
  for (Ready& one : ready) one.status = stopped_;
}

void HostedShard::Answer(ExchangeCall& call, const Flat& values,
                         ReadyCalls& ready) {
  const int worker = call.request.worker();
  const bool is_observer = worker < 0;  // leaves no trace
  Flat* const seen =
      keeps_seen_ && !is_observer ? &shard_.seen(worker) : nullptr;
  values_.Send(values, bound_, seen, call);
  ready.push_back({&call, absl::OkStatus(), ReplyHead(call)});
  if (is_observer) return;
  peers_[worker].base = shard_.version;
  counters_.first_pull = std::min(counters_.first_pull, clock_.Now());
}

pb::ExchangeReply HostedShard::ReplyHead(const ExchangeCall& call) const {
  pb::ExchangeReply reply;
  reply.set_version(shard_.version);
  reply.set_coded(call.request.coded_reply() && Pulls(call.request));
  const auto peer = peers_.find(call.request.worker());
  if (peer != peers_.end() && Pushes(call.request)) {
    reply.set_staleness(peer->second.staleness);
    reply.set_refused(peer->second.refused);
  }
  return reply;
}

void HostedShard::Finish(ReadyCalls& ready) {
  for (Ready& r : ready) {
    r.call->Finish(std::move(r.status), std::move(r.reply));
  }
}

void HostedShard::Cancel(ExchangeCall& call) {
  {
    absl::MutexLock lock(&mu_);
    const auto it = std::find(parked_.begin(), parked_.end(), &call);
    if (it == parked_.end()) return;
    if (!Mutant("cancelled-stays-parked")) parked_.erase(it);
  }
  call.Finish(
      absl::CancelledError(absl::StrCat(
          "worker ", call.request.worker(), ", shard ", index_,
          ": gave up waiting for a center ", call.request.rounds(),
          " rounds newer and a lead of at most ", call.request.max_lead())),
      {});
}

void HostedShard::SetLive(std::vector<int> live, int64_t change) {
  ReadyCalls ready;
  {
    absl::MutexLock lock(&mu_);
    if (change >= live_change_ || Mutant("older-list-taken")) {
      // Who was away goes on with the slowest: nobody waits for it to catch up.
      for (int worker : live) {
        if (std::binary_search(live_.begin(), live_.end(), worker)) continue;
        int64_t& clock = peers_[worker].clock;
        clock = std::max(clock, Slowest(live_, worker, clock));
      }
      live_ = std::move(live);
      live_change_ = change;
    }
    CloseRounds().IgnoreError();  // who waits learns why
    Settle(ready);
  }
  Finish(ready);
}

void HostedShard::Enter(int worker, uint64_t incarnation) {
  absl::MutexLock lock(&mu_);
  Peer& peer = peers_[worker];
  if (peer.incarnation == incarnation) return;
  peer = {.incarnation = incarnation,
          .sequence = Mutant("dedupe-without-incarnation") ? peer.sequence : 0,
          .clock = peer.clock};
  shard_.Forget(worker);
}

void HostedShard::Stop(const absl::Status& why) {
  ReadyCalls ready;
  {
    absl::MutexLock lock(&mu_);
    stopped_ = why;
    Settle(ready);
  }
  Finish(ready);
}

HostedShard::Counters HostedShard::counters() const {
  absl::MutexLock lock(&mu_);
  return counters_;
}

}  // namespace monsoon
