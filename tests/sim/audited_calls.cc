// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/audited_calls.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace monsoon {
namespace {

using Request = pb::ExchangeRequest;

constexpr size_t kMostFailures = 2000;

std::vector<float> ValuesOf(const ExchangeCall& call) {
  // A call that was cut may end within a float; that is left out.
  std::vector<float> values(call.update.size() / sizeof(float));
  if (values.empty()) return values;
  std::memcpy(values.data(), call.update.data(), values.size() * sizeof(float));
  return values;
}

std::string Named(const Request& request) {
  return absl::StrCat(Request::Kind_Name(request.kind()), " ",
                      request.sequence(), " of worker ", request.worker(),
                      " to shard ", request.shard());
}

}  // namespace

// A call on its way through the server.
class AuditedCalls::Watched final : public ExchangeCall {
 public:
  Watched(AuditedCalls& owner, ExchangeCall& caller, const RecordedCall* shadow,
          int64_t staleness)
      : owner_(owner), caller_(caller), shadow_(shadow), staleness_(staleness) {
    request = caller.request;
    update = caller.update;
  }

  bool IsOf(const ExchangeCall& caller) const { return &caller_ == &caller; }

  absl::Span<char> ReplyBuffer(size_t bytes) override {
    return values_ = caller_.ReplyBuffer(bytes);
  }
  void Finish(absl::Status status, pb::ExchangeReply reply) override {
    if (status.ok()) Check(reply);
    ExchangeCall& caller = caller_;
    owner_.calls_.remove_if([this](const Watched& w) { return &w == this; });
    caller.Finish(std::move(status), std::move(reply));
  }

 private:
  void Check(const pb::ExchangeReply& reply) {
    if (staleness_ >= 0 && reply.staleness() != staleness_) {
      owner_.Fail(absl::StrCat(Named(request), " has staleness ",
                               reply.staleness(), ", expected ", staleness_));
    }
    const bool pulls =
        request.kind() == Request::PULL || request.kind() == Request::PUSH_PULL;
    if (pulls && request.max_lead() >= 0) owner_.CheckLead(request);
    if (shadow_ == nullptr) return;
    const bool is_same =
        shadow_->finished() && shadow_->status->ok() &&
        shadow_->reply_values.size() * sizeof(float) == values_.size() &&
        std::equal(values_.begin(), values_.end(),
                   reinterpret_cast<const char*>(shadow_->reply_values.data()));
    if (!is_same) {
      owner_.Fail(absl::StrCat(Named(request), " was answered with ",
                               "something else than it must be"));
    }
  }

  AuditedCalls& owner_;
  ExchangeCall& caller_;
  const RecordedCall* shadow_;  // null: the server alone has got it
  int64_t staleness_;           // that it must have; -1: any
  absl::Span<char> values_;
};

AuditedCalls::AuditedCalls(ServerCalls& next, Clock& clock,
                           absl::Duration lease)
    : next_(next),
      clock_(clock),
      lease_(lease),
      shadow_(clock, {.lease = lease}) {}

AuditedCalls::~AuditedCalls() = default;

void AuditedCalls::Fail(const std::string& what) {
  if (failures_.size() < kMostFailures) absl::StrAppend(&failures_, what, "\n");
}

absl::Status AuditedCalls::GetJob(const pb::GetJobRequest& request,
                                  pb::JobStatus& reply) {
  return next_.GetJob(request, reply);
}

absl::Status AuditedCalls::Join(const pb::JoinRequest& request,
                                pb::JoinReply& reply) {
  pb::JoinReply shadows;
  const absl::Status expected = shadow_.Join(request, shadows);
  absl::Status joined = next_.Join(request, reply);
  if (joined != expected) {
    Fail(absl::StrCat("a Join of worker ", request.worker(), ": ",
                      joined.ToString(), ", expected ", expected.ToString()));
  }
  if (!joined.ok()) return joined;
  Peer& peer = peers_[request.worker()];
  if (peer.incarnation != request.incarnation()) {
    peer.incarnation = request.incarnation();
    peer.is_live = true;
    peer.sequences.clear();
  }
  Hear(request.worker());
  for (int i = 0; i < request.spec().shards_size(); ++i) {
    const pb::Shard& shard = request.spec().shards(i);
    if (shard.server() != request.server_index()) continue;
    sizes_[i] = shard.size() * static_cast<int64_t>(sizeof(float));
  }
  return joined;
}

absl::Status AuditedCalls::Report(const pb::ReportRequest& request,
                                  pb::ReportReply& reply) {
  pb::ReportReply shadows;
  const absl::Status expected = shadow_.Report(request, shadows);
  // First: what waits for this end may be answered meanwhile.
  if (expected.ok() && request.has_report() &&
      request.report().state() != pb::RUNNING) {
    peers_[request.worker()].is_live = false;
  }
  if (expected.ok()) Hear(request.worker());
  absl::Status told = next_.Report(request, reply);
  if (told != expected) {
    Fail(absl::StrCat("a Report of worker ", request.worker(), ": ",
                      told.ToString(), ", expected ", expected.ToString()));
  }
  return told;
}

AuditedCalls::Look AuditedCalls::LookAt(ServerCalls& server,
                                        const Request& request) {
  RecordedCall look(Request::PULL, request.job_id(), -1);
  look.request.set_shard(request.shard());
  server.Exchange(look);
  if (!look.finished()) server.Cancel(look);
  if (!look.status->ok()) return {};
  return {look.reply.version(), look.reply_values};
}

bool AuditedCalls::IsNew(const ExchangeCall& call, const Look& before) {
  const Request& request = call.request;
  if (request.sequence() == 0 || before.version < 0) return false;
  Peer& peer = peers_[request.worker()];
  if (peer.incarnation != request.incarnation()) return false;
  if (static_cast<int64_t>(call.update.size()) != sizes_[request.shard()]) {
    return false;
  }
  int64_t& sequence = peer.sequences[request.shard()];
  if (static_cast<int64_t>(request.sequence()) != sequence + 1) return false;
  ++sequence;
  ++peer.clocks[request.shard()];
  ++peer.moved[request.shard()];
  return true;
}

void AuditedCalls::Hear(int worker) {
  Peer& peer = peers_[worker];
  const absl::Time now = clock_.Now();
  const bool was_silent = now - peer.heard >= lease_;
  peer.heard = now;
  if (!was_silent) return;
  for (const auto& [shard, bytes] : sizes_) {
    int64_t slowest = kUnbounded;
    for (auto& [other, its] : peers_) {
      if (other == worker || !its.is_live || now - its.heard >= lease_)
        continue;
      slowest = std::min(slowest, its.moved[shard]);
    }
    int64_t& moved = peer.moved[shard];
    if (slowest != kUnbounded) moved = std::max(moved, slowest);
  }
}

void AuditedCalls::Exchange(ExchangeCall& call) {
  const Request& request = call.request;
  if (peers_[request.worker()].incarnation == request.incarnation()) {
    Hear(request.worker());
  }
  const Look before = LookAt(next_, request);
  const bool is_new = IsNew(call, before);
  const Peer& peer = peers_[request.worker()];
  const auto known = peer.sequences.find(request.shard());
  const bool is_repeat =
      !is_new && request.sequence() > 0 &&
      peer.incarnation == request.incarnation() &&
      static_cast<int64_t>(call.update.size()) == sizes_[request.shard()] &&
      known != peer.sequences.end() &&
      static_cast<int64_t>(request.sequence()) == known->second;
  if (is_new) {
    ++pushes_;
    samples_[request.shard()] += request.samples();
  }
  if (is_repeat) ++repeats_;
  const RecordedCall* shadow = nullptr;
  if (!is_repeat || request.kind() == Request::PUSH_PULL) {
    RecordedCall& one =
        shadows_.emplace_back(request.kind(), 0, 0, ValuesOf(call), 0);
    one.request = request;
    if (is_repeat) {
      // Of it, the shadow hears that the center is asked for, as it is now.
      one.request.set_kind(Request::PULL);
      one.request.set_sequence(0);
      one.update = {};
    }
    if (call.update.size() % sizeof(float) != 0) one.update = call.update;
    shadow_.Exchange(one);
    if (!is_repeat) shadow = &one;
  } else {
    // The worker lives: that much it hears.
    pb::ReportRequest life;
    life.set_job_id(request.job_id());
    life.set_worker(request.worker());
    life.set_incarnation(request.incarnation());
    pb::ReportReply ignored;
    shadow_.Report(life, ignored).IgnoreError();
  }
  const int64_t staleness =
      is_new ? before.version - request.base_version() : -1;
  next_.Exchange(calls_.emplace_back(*this, call, shadow, staleness));
  const Look real = LookAt(next_, request);
  const Look expected = LookAt(shadow_, request);
  if (real.version != expected.version || real.center != expected.center) {
    Fail(absl::StrCat("after ", Named(request), ": the center of version ",
                      real.version, " is not what it must be, that of version ",
                      expected.version));
  }
}

void AuditedCalls::CheckLead(const Request& request) {
  const int shard = request.shard();
  const int64_t own = peers_[request.worker()].clocks[shard];
  for (auto& [worker, peer] : peers_) {
    // Who is silent beyond its lease holds nobody back.
    if (!peer.is_live || clock_.Now() - peer.heard >= lease_) continue;
    const int64_t lead = own - peer.moved[shard];
    if (lead <= request.max_lead()) continue;
    Fail(absl::StrCat(Named(request), " was answered ", lead,
                      " pushes ahead of worker ", worker, ", expected ",
                      request.max_lead(), " at most"));
  }
}

void AuditedCalls::Cancel(ExchangeCall& call) {
  for (Watched& watched : calls_) {
    if (watched.IsOf(call)) return next_.Cancel(watched);
  }
}

void AuditedCalls::CheckEnd() {
  pb::JobStatus real, expected;
  if (!next_.GetJob({}, real).ok() || !shadow_.GetJob({}, expected).ok()) {
    return Fail("there is no job");
  }
  const int64_t counted = real.samples_applied() + real.samples_refused();
  if (real.samples_applied() != expected.samples_applied() ||
      real.samples_refused() != expected.samples_refused() ||
      (!sizes_.empty() && counted != samples_[sizes_.begin()->first])) {
    Fail(absl::StrCat("counted ", real.samples_applied(), " samples and ",
                      real.samples_refused(), " refused, expected ",
                      expected.samples_applied(), " and ",
                      expected.samples_refused(), ", of ",
                      sizes_.empty() ? 0 : samples_[sizes_.begin()->first]));
  }
}

}  // namespace monsoon
