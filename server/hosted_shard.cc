// SPDX-License-Identifier: Apache-2.0
#include "server/hosted_shard.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

using Request = pb::ExchangeRequest;

// Far above any honest count, and far below where sums overflow.
constexpr int64_t kMaxCount = int64_t{1} << 40;

bool Pushes(const Request& request) {
  return request.kind() == Request::PUSH ||
         request.kind() == Request::PUSH_PULL;
}

bool Pulls(const Request& request) {
  return request.kind() == Request::PULL ||
         request.kind() == Request::PUSH_PULL;
}

bool Waits(const Request& request) {
  return request.rounds() > 0 || request.max_lead() >= 0;
}

}  // namespace

HostedShard::HostedShard(int index, int64_t size, const Trainer& trainer,
                         int64_t job_samples, Clock& clock)
    : index_(index),
      size_(size),
      trainer_(trainer),
      keeps_seen_(trainer.traits().keeps_seen),
      job_samples_(job_samples),
      clock_(clock),
      shard_(size) {}

absl::Status HostedShard::Validate(const ExchangeCall& call) const {
  const Request& request = call.request;
  const bool carries = Pushes(request) || request.kind() == Request::INITIALIZE;
  const std::string who =
      absl::StrCat("worker ", request.worker(), ", shard ", index_, ": ");
  const int64_t expected = carries ? size_ : 0;
  if (static_cast<int64_t>(call.update.size()) != expected) {
    return absl::InvalidArgumentError(
        absl::StrCat(who, "the update has ", call.update.size(),
                     " floats, expected ", expected));
  }
  const int64_t bad = FirstNotFinite(call.update);
  if (bad >= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(who, "value ", bad, " of the update is ",
                     call.update[static_cast<size_t>(bad)],
                     ", expected finite numbers; nothing was applied"));
  }
  if (Pushes(request) && !(request.weight() > 0 && request.weight() < 1e30f)) {
    return absl::InvalidArgumentError(absl::StrCat(
        who, "the weight is ", request.weight(), ", expected above 0"));
  }
  if (!Request::Kind_IsValid(request.kind())) {
    return absl::InvalidArgumentError(
        absl::StrCat(who, "unknown kind of exchange ", request.kind()));
  }
  for (int64_t count :
       {request.local_steps(), request.samples(), request.rounds()}) {
    if (count < 0 || count > kMaxCount) {
      return absl::InvalidArgumentError(
          absl::StrCat(who, "local_steps, samples or rounds is ", count,
                       ", expected 0 to 2^40"));
    }
  }
  return absl::OkStatus();
}

void HostedShard::Exchange(ExchangeCall& call) {
  absl::Status valid = Validate(call);
  if (!valid.ok()) {
    call.Finish(std::move(valid), {});
    return;
  }
  ReadyCalls ready;
  {
    absl::MutexLock lock(&mu_);
    Serve(call, ready);
    AnswerParked(ready);
  }
  Finish(ready);
}

void HostedShard::Serve(ExchangeCall& call, ReadyCalls& ready) {
  if (call.request.kind() == Request::INITIALIZE) {
    Initialize(call, ready);
  } else if (Pushes(call.request)) {
    Push(call, ready);
  } else {
    parked_.push_back(&call);  // answered right after, if it need not wait
  }
}

void HostedShard::Initialize(ExchangeCall& call, ReadyCalls& ready) {
  if (!initialized_) {
    std::copy(call.update.begin(), call.update.end(), shard_.center.data());
    initialized_ = true;
  }
  ready.push_back({&call, absl::OkStatus(), ReplyHead(call)});
}

void HostedShard::Push(ExchangeCall& call, ReadyCalls& ready) {
  const Request& request = call.request;
  Peer& peer = peers_[request.worker()];
  const auto sequence = static_cast<int64_t>(request.sequence());
  const bool repeated = sequence == peer.sequence && sequence > 0;
  if (!initialized_ || (sequence != peer.sequence + 1 && !repeated)) {
    const std::string who =
        absl::StrCat("worker ", request.worker(), ", shard ", index_, ": ");
    ready.push_back(
        {&call,
         absl::FailedPreconditionError(
             initialized_
                 ? absl::StrCat(who, "push number ", sequence, " came after ",
                                peer.sequence, ", expected ", peer.sequence + 1)
                 : absl::StrCat(who, "pushed before the initial center came; ",
                                "pull first")),
         {}});
    return;
  }
  const Flat value = Flat::View(call.update.data(), size_);
  Update update{value,
                request.weight(),
                request.worker(),
                repeated ? peer.staleness : shard_.version - peer.base,
                request.local_steps(),
                request.samples(),
                static_cast<double>(counters_.samples_applied) /
                    static_cast<double>(std::max<int64_t>(1, job_samples_))};
  if (!repeated) {
    peer.sequence = sequence;
    peer.staleness = update.staleness;
    Admit(update);
  }
  if (!Pulls(request)) {
    ready.push_back({&call, absl::OkStatus(), ReplyHead(call)});
  } else if (Waits(request)) {
    parked_.push_back(&call);
  } else {
    Answer(call, peer.refused ? shard_.center : trainer_.Reply(update, shard_),
           ready);
  }
}

void HostedShard::Admit(const Update& update) {
  const float discount = trainer_.Discount(update);
  peers_[update.worker].refused = discount == 0;
  if (discount == 0) {
    counters_.samples_refused += update.samples;
    return;
  }
  if (discount != 1) {
    if (discounted_.empty()) discounted_ = Flat(size_);
    ForEach([discount](float& to, float from) { to = discount * from; },
            discounted_, update.value);
  }
  Update worth{discount == 1 ? update.value : discounted_,
               update.weight,
               update.worker,
               update.staleness,
               update.local_steps,
               update.samples,
               update.progress};
  counters_.samples_applied += update.samples;
  if (round_.count == 0 && trainer_.Quorum(shard_.version, live_) <= 1) {
    ApplyRound(worth);
    return;
  }
  if (round_.sum.empty()) round_.sum = Flat(size_);
  const float weight = worth.weight;
  ForEach([weight](float& sum, float u) { sum += weight * u; }, round_.sum,
          worth.value);
  round_.weight += weight;
  round_.count += 1;
  round_.staleness = std::max(round_.staleness, worth.staleness);
  round_.local_steps += worth.local_steps;
  round_.samples += worth.samples;
  round_.worker = worth.worker;
  CloseRounds();
}

void HostedShard::ApplyRound(const Update& update) {
  trainer_.Apply(update, shard_);
  ++shard_.version;
  counters_.last_apply = clock_.Now();
}

void HostedShard::CloseRounds() {
  // A round closes when enough have pushed; a departure may lower "enough".
  if (round_.count == 0 ||
      round_.count < trainer_.Quorum(shard_.version, live_)) {
    return;
  }
  const float scale = static_cast<float>(1 / round_.weight);
  ForEach([scale](float& sum) { sum *= scale; }, round_.sum);
  ApplyRound({round_.sum, static_cast<float>(round_.weight), round_.worker,
              round_.staleness, round_.local_steps, round_.samples,
              static_cast<double>(counters_.samples_applied) /
                  static_cast<double>(std::max<int64_t>(1, job_samples_))});
  ForEach([](float& sum) { sum = 0; }, round_.sum);
  round_.weight = 0;
  round_.count = round_.staleness = round_.local_steps = round_.samples = 0;
}

bool HostedShard::MayAnswer(const ExchangeCall& call) const {
  if (!initialized_) return false;
  const auto it = peers_.find(call.request.worker());
  const Peer peer = it == peers_.end() ? Peer{} : it->second;
  if (shard_.version < peer.base + call.request.rounds()) return false;
  if (call.request.max_lead() < 0) return true;
  int64_t slowest = peer.sequence;
  for (int worker : live_) {
    const auto other = peers_.find(worker);
    slowest =
        std::min(slowest, other == peers_.end() ? 0 : other->second.sequence);
  }
  return peer.sequence - slowest <= call.request.max_lead();
}

void HostedShard::AnswerParked(ReadyCalls& ready) {
  const auto answer = [&](ExchangeCall* call)
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
                            if (!MayAnswer(*call)) return false;
                            Answer(*call, shard_.center, ready);
                            return true;
                          };
  parked_.erase(std::remove_if(parked_.begin(), parked_.end(), answer),
                parked_.end());
  if (stopped_.ok()) return;
  for (ExchangeCall* call : parked_) ready.push_back({call, stopped_, {}});
  parked_.clear();
}

void HostedShard::Answer(ExchangeCall& call, const Flat& values,
                         ReadyCalls& ready) {
  const absl::Span<float> buffer =
      call.ReplyBuffer(static_cast<size_t>(values.size()));
  std::memcpy(buffer.data(), values.data(),
              static_cast<size_t>(values.size()) * sizeof(float));
  ready.push_back({&call, absl::OkStatus(), ReplyHead(call)});
  const int worker = call.request.worker();
  if (worker < 0) return;  // an observer leaves no trace
  peers_[worker].base = shard_.version;
  if (keeps_seen_) shard_.seen(worker).CopyFrom(shard_.center);
  counters_.first_pull = std::min(counters_.first_pull, clock_.Now());
}

pb::ExchangeReply HostedShard::ReplyHead(const ExchangeCall& call) const {
  pb::ExchangeReply reply;
  reply.set_version(shard_.version);
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
    parked_.erase(it);
  }
  call.Finish(
      absl::CancelledError(absl::StrCat(
          "worker ", call.request.worker(), ", shard ", index_,
          ": gave up waiting for a center ", call.request.rounds(),
          " rounds newer and a lead of at most ", call.request.max_lead())),
      {});
}

void HostedShard::SetLive(std::vector<int> live) {
  ReadyCalls ready;
  {
    absl::MutexLock lock(&mu_);
    live_ = std::move(live);
    CloseRounds();
    AnswerParked(ready);
  }
  Finish(ready);
}

void HostedShard::Restart(int worker) {
  absl::MutexLock lock(&mu_);
  peers_.erase(worker);
  shard_.slots.Erase(absl::StrCat("seen/", worker));
}

void HostedShard::Stop(const absl::Status& why) {
  ReadyCalls ready;
  {
    absl::MutexLock lock(&mu_);
    stopped_ = why;
    AnswerParked(ready);
  }
  Finish(ready);
}

HostedShard::Counters HostedShard::counters() const {
  absl::MutexLock lock(&mu_);
  return counters_;
}

void HostedShard::Save(Writer& writer) const {
  absl::MutexLock lock(&mu_);
  shard_.Save(writer);
  writer.Int(initialized_ ? 1 : 0);
  writer.Int(counters_.samples_applied);
  writer.Int(counters_.samples_refused);
  writer.Int(static_cast<int64_t>(peers_.size()));
  for (const auto& [worker, peer] : peers_) {
    for (int64_t value : {int64_t{worker}, peer.base, peer.sequence,
                          int64_t{peer.refused}, peer.staleness}) {
      writer.Int(value);
    }
  }
  writer.Floats(round_.sum);
  writer.Double(round_.weight);
  for (int64_t value : {round_.count, round_.staleness, round_.local_steps,
                        round_.samples, int64_t{round_.worker}}) {
    writer.Int(value);
  }
}

absl::Status HostedShard::Load(Reader& reader) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(shard_.Load(reader));
  int64_t initialized = 0, count = 0, worker = 0, refused = 0;
  RETURN_IF_ERROR(reader.Int(initialized));
  initialized_ = initialized != 0;
  RETURN_IF_ERROR(reader.Int(counters_.samples_applied));
  RETURN_IF_ERROR(reader.Int(counters_.samples_refused));
  RETURN_IF_ERROR(reader.Int(count));
  peers_.clear();
  for (int64_t i = 0; i < count; ++i) {
    Peer peer;
    for (int64_t* value :
         {&worker, &peer.base, &peer.sequence, &refused, &peer.staleness}) {
      RETURN_IF_ERROR(reader.Int(*value));
    }
    peer.refused = refused != 0;
    peers_[static_cast<int>(worker)] = peer;
  }
  round_ = {};
  RETURN_IF_ERROR(reader.Floats(round_.sum));
  RETURN_IF_ERROR(reader.Double(round_.weight));
  for (int64_t* value : {&round_.count, &round_.staleness, &round_.local_steps,
                         &round_.samples, &worker}) {
    RETURN_IF_ERROR(reader.Int(*value));
  }
  round_.worker = static_cast<int>(worker);
  return absl::OkStatus();
}

}  // namespace monsoon
