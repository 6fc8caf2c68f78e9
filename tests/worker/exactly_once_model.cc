// SPDX-License-Identifier: Apache-2.0
#include "tests/worker/exactly_once_model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "tests/server/recorded_call.h"

namespace monsoon {
namespace {

using Request = pb::ExchangeRequest;

constexpr size_t kMostFailures = 2000;  // characters

// Ten shards of uneven sizes, in turn on two servers.
std::vector<ShardRange> Shards() {
  std::vector<ShardRange> shards;
  int64_t offset = 0;
  for (int i = 0; i < 10; ++i) {
    const int64_t size =
        i == 9 ? ExactlyOnceModel::kParameters - offset : 4 + i;
    shards.push_back({.offset = offset, .size = size, .server = i % 2});
    offset += size;
  }
  return shards;
}

// The floats that a call says it has; what carries them may change.
size_t ValuesOf(const ExchangeCall& call) {
  return call.update.size() / sizeof(float);
}

}  // namespace

ExactlyOnceModel::ExactlyOnceModel(int workers)
    : workers_(workers), state_(static_cast<size_t>(workers)) {
  for (const ShardRange& range : Shards()) {
    const auto n = static_cast<size_t>(workers);
    shards_.push_back(
        {.range = range,
         .center = std::vector<double>(static_cast<size_t>(range.size)),
         .sequence = std::vector<int64_t>(n),
         .applied = std::vector<int64_t>(n),
         .last = std::vector<int64_t>(n)});
  }
}

pb::JobSpec ExactlyOnceModel::Spec(int workers) {
  pb::JobSpec spec;
  spec.set_trainer("downpour");
  (*spec.mutable_hyper())["form"] = "delta";
  pb::Tensor& tensor = *spec.add_tensors();
  tensor.set_name("x");
  tensor.add_shape(kParameters);
  ShardsToProto(Shards(), spec);
  spec.set_servers(2);
  spec.set_workers(workers);
  spec.set_samples(1000);
  return spec;
}

Flat ExactlyOnceModel::Initial() const {
  Flat center(kParameters);
  for (int64_t i = 0; i < kParameters; ++i) center[i] = static_cast<float>(i);
  return center;
}

// Every worker has floats of its own, everywhere, so that one that lands at a
// neighbour's place is seen; small enough that no float32 sum is ever rounded.
double ExactlyOnceModel::Element(int worker, int64_t number,
                                 int64_t index) const {
  if (index % workers_ != worker) return 0;
  return static_cast<double>((1 + number % 1000) * (1 + index % 3));
}

Flat ExactlyOnceModel::Update(int worker, int64_t number) const {
  Flat update(kParameters);
  for (int64_t i = 0; i < kParameters; ++i) {
    update[i] = static_cast<float>(Element(worker, number, i));
  }
  return update;
}

void ExactlyOnceModel::Begin(int worker, int64_t number) {
  state_[static_cast<size_t>(worker)].pushing = number;
}

void ExactlyOnceModel::Acknowledge(int worker) {
  const auto w = static_cast<size_t>(worker);
  Worker& state = state_[w];
  for (const ShardTruth& shard : shards_) {
    if (shard.last[w] == state.pushing) continue;
    Fail(absl::StrCat("push ", state.pushing, " of worker ", worker,
                      " was acknowledged, a shard never applied it"));
  }
  ++state.acknowledged;
  state.pushing = 0;
  for (const ShardTruth& shard : shards_) CheckBounds(shard);
}

void ExactlyOnceModel::GiveUp(int worker) {
  Worker& state = state_[static_cast<size_t>(worker)];
  if (state.pushing == 0) return;
  ++state.unresolved;
  state.pushing = 0;
}

void ExactlyOnceModel::CheckOwn(int worker, const Flat& read) {
  for (const ShardTruth& shard : shards_) {
    for (int64_t i = 0; i < shard.range.size; ++i) {
      const int64_t index = shard.range.offset + i;
      const double expected = shard.center[static_cast<size_t>(i)];
      if (index % workers_ != worker || read[index] == expected) continue;
      Fail(absl::StrCat("worker ", worker, " read ", read[index],
                        " as its own float ", index, ", expected ", expected));
    }
  }
}

void ExactlyOnceModel::CheckBounds(const ShardTruth& shard) {
  for (size_t w = 0; w < state_.size(); ++w) {
    const Worker& state = state_[w];
    const int64_t in_flight = state.unresolved + (state.pushing != 0 ? 1 : 0);
    if (state.acknowledged <= shard.applied[w] &&
        shard.applied[w] <= state.acknowledged + in_flight) {
      continue;
    }
    Fail(absl::StrCat("a shard applied ", shard.applied[w],
                      " pushes of worker ", w, ", of which ",
                      state.acknowledged, " were acknowledged and ", in_flight,
                      " not"));
  }
}

void ExactlyOnceModel::CheckEnd() {
  for (const ShardTruth& shard : shards_) {
    CheckBounds(shard);
    for (size_t w = 0; w < state_.size(); ++w) Mix(shard.applied[w]);
    for (double value : shard.center) Mix(static_cast<uint64_t>(value));
  }
  for (const auto& [name, count] : counts_) Mix(count);
}

void ExactlyOnceModel::Fail(const std::string& what) {
  if (failures_.size() < kMostFailures) absl::StrAppend(&failures_, what, "\n");
}

void ExactlyOnceModel::Mix(uint64_t value) {
  digest_ = (digest_ ^ value) * 0x100000001b3;
}

AuditedServer::AuditedServer(int index, ExactlyOnceModel& model, Clock& clock)
    : index_(index),
      model_(model),
      clock_(clock),
      server_(clock, {.lease = ExactlyOnceModel::kLease}) {}

absl::Status AuditedServer::GetJob(const pb::GetJobRequest& request,
                                   pb::JobStatus& reply) {
  return server_.GetJob(request, reply);
}

absl::Status AuditedServer::Join(const pb::JoinRequest& request,
                                 pb::JoinReply& reply) {
  model_.Count("JOIN");
  const int worker = request.worker();
  const uint64_t incarnation = request.incarnation();
  bool expected = worker == 0 || !members_.empty();
  const auto it = members_.find(worker);
  if (it != members_.end() && it->second.incarnation != incarnation) {
    const Member& other = it->second;
    const bool free =
        other.done || clock_.Now() - other.heard >= ExactlyOnceModel::kLease;
    expected = free && other.past.count(incarnation) == 0;
  }
  if (expected) {
    Member& member = members_[worker];
    member.heard = clock_.Now();
    if (member.incarnation != incarnation) {
      std::set<uint64_t> past = std::move(member.past);
      past.insert(member.incarnation);
      member = {incarnation, clock_.Now(), false, 0, std::move(past)};
      for (auto& shard : model_.shards_) {
        if (shard.range.server != index_) continue;
        shard.sequence[static_cast<size_t>(worker)] = 0;
      }
    }
  }
  absl::Status joined = server_.Join(request, reply);
  if (joined.ok() != expected) {
    model_.Fail(absl::StrCat("a Join of worker ", worker, ", expected to be ",
                             expected ? "accepted" : "refused", ": ",
                             joined.ToString()));
  }
  CompareMember(worker);
  return joined;
}

bool AuditedServer::IsPresent(uint64_t job, int worker, uint64_t incarnation) {
  const auto it = members_.find(worker);
  if (job != ExactlyOnceModel::kJob || it == members_.end() ||
      it->second.incarnation != incarnation) {
    return false;
  }
  it->second.heard = clock_.Now();
  return true;
}

absl::Status AuditedServer::Report(const pb::ReportRequest& request,
                                   pb::ReportReply& reply) {
  model_.Count("REPORT");
  const bool expected =
      IsPresent(request.job_id(), request.worker(), request.incarnation());
  if (expected) {
    Member& member = members_[request.worker()];
    const bool done = request.report().state() != pb::RUNNING;
    if (done >= member.done && request.report().steps() >= member.steps) {
      member.done = done;
      member.steps = request.report().steps();
    }
  }
  absl::Status status = server_.Report(request, reply);
  if (status.ok() != expected) {
    model_.Fail(absl::StrCat(
        "a Report of worker ", request.worker(), ", expected to be ",
        expected ? "accepted" : "refused", ": ", status.ToString()));
  }
  CompareMember(request.worker());
  return status;
}

void AuditedServer::Foretell(const ExchangeCall& call) {
  const Request& request = call.request;
  model_.Count(Request::Kind_Name(request.kind()));
  if (!IsPresent(request.job_id(), request.worker(), request.incarnation())) {
    return model_.Count("of nobody present");
  }
  auto& shard = model_.shards_[static_cast<size_t>(request.shard())];
  if (request.kind() == Request::PULL) return;
  if (static_cast<int64_t>(ValuesOf(call)) != shard.range.size) {
    return model_.Count("cut");
  }
  if (request.kind() == Request::INITIALIZE) {
    if (shard.initialized) return;
    shard.initialized = true;
    for (int64_t i = 0; i < shard.range.size; ++i) {
      shard.center[static_cast<size_t>(i)] =
          static_cast<double>(shard.range.offset + i);
    }
    return;
  }
  int64_t& sequence = shard.sequence[static_cast<size_t>(request.worker())];
  if (!shard.initialized) return model_.Count("too early");
  const auto next = static_cast<int64_t>(request.sequence());
  if (next == sequence) return model_.Count("repeated");
  if (next != sequence + 1) return model_.Count("out of turn");
  sequence = next;
  Apply(shard, request.worker(), request.samples());
}

void AuditedServer::Apply(ExactlyOnceModel::ShardTruth& shard, int worker,
                          int64_t samples) {
  const auto w = static_cast<size_t>(worker);
  const int64_t number = model_.state_[w].pushing;
  model_.Count("applied");
  if (number <= shard.last[w]) {
    return model_.Fail(absl::StrCat("push ", number, " of worker ", worker,
                                    " is to be applied after push ",
                                    shard.last[w], ": it is not on its way"));
  }
  if (samples != ExactlyOnceModel::Samples(number)) {
    model_.Fail(absl::StrCat("push ", number, " says ", samples, " samples"));
  }
  shard.last[w] = number;
  ++shard.applied[w];
  shard.samples += ExactlyOnceModel::Samples(number);
  for (int64_t i = 0; i < shard.range.size; ++i) {
    shard.center[static_cast<size_t>(i)] +=
        model_.Element(worker, number, shard.range.offset + i);
  }
}

void AuditedServer::Exchange(ExchangeCall& call) {
  const int index = call.request.shard();
  const auto& shard = model_.shards_[static_cast<size_t>(index)];
  // First: what waits for the answer may send the next call from there.
  Foretell(call);
  model_.CheckBounds(shard);
  server_.Exchange(call);
  Compare(shard, index);
}

void AuditedServer::Compare(const ExactlyOnceModel::ShardTruth& shard,
                            int index) {
  if (!shard.initialized) return;
  RecordedCall look(Request::PULL, ExactlyOnceModel::kJob, -1);
  look.request.set_shard(index);
  server_.Exchange(look);
  const bool is_same =
      look.status == absl::OkStatus() &&
      std::equal(shard.center.begin(), shard.center.end(),
                 look.reply_values.begin(), look.reply_values.end(),
                 [](double a, float b) { return a == double{b}; });
  if (!is_same) {
    model_.Fail(
        absl::StrCat("the center of shard ", index, " is not what it must be"));
  }
}

void AuditedServer::CompareMember(int worker) {
  // Often enough to see one that went back, which stays so for a while; always
  // when nothing may follow. A status costs more than all the rest of a call.
  const auto known = members_.find(worker);
  const bool is_done = known != members_.end() && known->second.done;
  if (!is_done && ++looks_ % 16 != 0) return;
  pb::JobStatus status;
  if (!server_.GetJob({}, status).ok()) return;
  for (const pb::Member& member : status.members()) {
    if (member.worker() != worker) continue;
    const Member& expected = members_[worker];
    if (member.incarnation() != expected.incarnation ||
        (member.report().state() == pb::DONE) != expected.done ||
        member.report().steps() != expected.steps) {
      model_.Fail(absl::StrCat("server ", index_, " has worker ", worker,
                               " as ", member.ShortDebugString()));
    }
  }
}

void AuditedServer::CheckEnd() {
  pb::JobStatus status;
  if (!server_.GetJob({}, status).ok()) return model_.Fail("there is no job");
  if (!status.over()) model_.Fail("all have ended, the job has not");
  // Its first shard counts.
  const int64_t samples = model_.shards_[static_cast<size_t>(index_)].samples;
  if (status.samples_applied() != samples || status.samples_refused() != 0) {
    model_.Fail(absl::StrCat("server ", index_, " counted ",
                             status.samples_applied(), " samples, expected ",
                             samples));
  }
}

}  // namespace monsoon
