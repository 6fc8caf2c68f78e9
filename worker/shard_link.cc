// SPDX-License-Identifier: Apache-2.0
#include "worker/shard_link.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

using Request = pb::ExchangeRequest;

constexpr absl::Duration kRetryPause = absl::Milliseconds(50);
// Of one server's shards: enough to keep the wire busy while one is applied,
// few enough that what is on its way stays in cache.
constexpr size_t kInFlight = 4;

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
  Call(ServerCalls& server, std::unique_ptr<Event> done)
      : server_(server), done_(std::move(done)) {}

  void Begin() {
    done_->Reset();
    server_.Exchange(*this);
  }
  // Waits for the end of the attempt; gives up at the deadline.
  const absl::Status& Await(absl::Time deadline) {
    if (!done_->Wait(deadline)) {
      server_.Cancel(*this);
      done_->Wait(absl::InfiniteFuture());  // a cancelled call ends at once
      if (absl::IsCancelled(status_)) {
        status_ = absl::DeadlineExceededError(status_.message());
      }
    }
    return status_;
  }

  absl::Span<float> ReplyBuffer(size_t size) override {
    // A reply of another size is taken by nobody; Finish reports it.
    wrong_size_ = size != reply_memory.size();
    if (wrong_size_) stray_.resize(size);
    return wrong_size_ ? absl::MakeSpan(stray_) : reply_memory;
  }
  void Finish(absl::Status status, pb::ExchangeReply head) override {
    status_ = std::move(status);
    if (status_.ok() && wrong_size_) {
      status_ = absl::InternalError(absl::StrCat(
          "shard ", request.shard(), ": the reply has ", stray_.size(),
          " floats, expected ", reply_memory.size()));
    }
    reply = std::move(head);
    done_->Set();
  }

  // Of a call that is over.
  std::unique_ptr<Event> TakeEvent() { return std::move(done_); }

  bool succeeded = false;
  absl::Span<float> reply_memory;
  pb::ExchangeReply reply;

 private:
  ServerCalls& server_;
  std::unique_ptr<Event> done_;
  absl::Status status_;
  bool wrong_size_ = false;
  std::vector<float> stray_;
};

ShardLink::ShardLink(Config config, Clock& clock)
    : config_(std::move(config)),
      clock_(clock),
      order_(InTurn(config_.shards, config_.servers.size())),
      sequences_(config_.shards.size()) {}

ShardLink::~ShardLink() = default;

absl::Status ShardLink::Initialize(const Flat& center) {
  return Exchange(Request::INITIALIZE, &center, nullptr, 0, {});
}

absl::Status ShardLink::Pull(Flat& center, Freshness need) {
  return Exchange(Request::PULL, nullptr, &center, 0, need);
}

absl::Status ShardLink::Push(const Flat& update, float weight) {
  return Exchange(Request::PUSH, &update, nullptr, weight, {});
}

absl::Status ShardLink::PushPull(const Flat& update, Flat& reply, float weight,
                                 Freshness need) {
  return Exchange(Request::PUSH_PULL, &update, &reply, weight, need);
}

absl::Status ShardLink::Exchange(Request::Kind kind, const Flat* update,
                                 Flat* reply, float weight, Freshness need) {
  const bool pushes = kind == Request::PUSH || kind == Request::PUSH_PULL;
  const bool accounts =
      pushes && replica_ != nullptr && replica_->step != accounted_step_;
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
    request.set_rounds(need.rounds);
    request.set_max_lead(need.max_lead == kUnbounded ? -1 : need.max_lead);
    if (pushes) {
      request.set_sequence(static_cast<uint64_t>(++sequences_[i]));
      request.set_weight(weight);
    }
    if (accounts) {
      request.set_local_steps(replica_->pending);
      request.set_samples(replica_->pending_samples);
    }
    if (update != nullptr) {
      call->update = update->Slice(range.offset, range.size).span();
    }
    if (reply != nullptr) {
      call->reply_memory = reply->Slice(range.offset, range.size).span();
    }
  }
  if (accounts) accounted_step_ = replica_->step;
  const absl::Time deadline = clock_.Now() + config_.timeout;
  bool retry = false;
  absl::Status status = Round(deadline, retry);
  while (retry && clock_.Now() < deadline) {
    clock_.NewEvent()->Wait(std::min(deadline, clock_.Now() + kRetryPause));
    status = Round(deadline, retry);
  }
  if (status.ok()) Count();
  return status;
}

ShardLink::Call& ShardLink::NewCall(size_t i, ServerCalls& server) {
  if (i == calls_.size()) {
    calls_.push_back(std::make_unique<Call>(server, clock_.NewEvent()));
  } else {
    Call* spent = calls_[i].get();
    std::unique_ptr<Event> event = spent->TakeEvent();
    std::destroy_at(spent);
    std::construct_at(spent, server, std::move(event));
  }
  return *calls_[i];
}

absl::Status ShardLink::Round(absl::Time deadline, bool& retry) {
  const size_t in_flight = kInFlight * config_.servers.size();
  absl::Status failure;  // the first that no retry mends, else the first
  retry = false;
  size_t begun = 0;
  size_t end = calls_.size();
  for (size_t i = 0; i < end; ++i) {
    for (; begun < std::min(end, i + in_flight); ++begun) {
      if (!calls_[begun]->succeeded) calls_[begun]->Begin();
    }
    Call& call = *calls_[i];
    if (call.succeeded) continue;
    const absl::Status& status = call.Await(deadline);
    call.succeeded = status.ok();
    if (status.ok()) continue;
    if (failure.ok() || (MayRetry(failure) && !MayRetry(status))) {
      failure = status;
    }
    // The rest follows when this one was repeated: who waits for other workers
    // must not have passed a shard that they wait for.
    end = begun;
  }
  retry = !failure.ok() && MayRetry(failure);
  return failure;
}

void ShardLink::Count() {
  const Request& request = calls_.front()->request;
  const bool pushes = request.sequence() > 0;
  const bool pulls = !calls_.front()->reply_memory.empty();
  counters_.pushes += pushes ? 1 : 0;
  counters_.pulls += pulls ? 1 : 0;
  if (calls_.front()->reply.refused()) {
    counters_.samples_refused += request.samples();
  }
  for (const auto& call : calls_) {
    counters_.bytes_up +=
        static_cast<int64_t>(call->update.size() * sizeof(float));
    counters_.bytes_down +=
        static_cast<int64_t>(call->reply_memory.size() * sizeof(float));
    if (pushes) ++counters_.staleness[call->reply.staleness()];
  }
}

void ShardLink::Save(Writer& writer) const {
  writer.Int(accounted_step_);
  writer.Int(static_cast<int64_t>(sequences_.size()));
  for (int64_t sequence : sequences_) writer.Int(sequence);
  for (int64_t value : {counters_.pushes, counters_.pulls, counters_.bytes_up,
                        counters_.bytes_down, counters_.samples_refused}) {
    writer.Int(value);
  }
  writer.Int(static_cast<int64_t>(counters_.staleness.size()));
  for (const auto& [staleness, count] : counters_.staleness) {
    writer.Int(staleness);
    writer.Int(count);
  }
}

absl::Status ShardLink::Load(Reader& reader) {
  int64_t count = 0;
  RETURN_IF_ERROR(reader.Int(accounted_step_));
  RETURN_IF_ERROR(reader.Int(count));
  if (count != static_cast<int64_t>(sequences_.size())) {
    return absl::DataLossError(absl::StrCat(
        "saved link has ", count, " shards, expected ", sequences_.size()));
  }
  for (int64_t& sequence : sequences_) RETURN_IF_ERROR(reader.Int(sequence));
  for (int64_t* value :
       {&counters_.pushes, &counters_.pulls, &counters_.bytes_up,
        &counters_.bytes_down, &counters_.samples_refused}) {
    RETURN_IF_ERROR(reader.Int(*value));
  }
  RETURN_IF_ERROR(reader.Int(count));
  counters_.staleness.clear();
  for (int64_t i = 0; i < count; ++i) {
    int64_t staleness = 0;
    RETURN_IF_ERROR(reader.Int(staleness));
    RETURN_IF_ERROR(reader.Int(counters_.staleness[staleness]));
  }
  return absl::OkStatus();
}

}  // namespace monsoon
