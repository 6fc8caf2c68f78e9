// SPDX-License-Identifier: Apache-2.0
#include "sim/network.h"

#include <algorithm>
#include <utility>

namespace monsoon {

absl::Time Lane::Take(absl::Time now, absl::Duration busy) {
  const absl::Time begin = std::max(now, free_);
  free_ = begin + busy;
  busy_ += busy;
  return begin;
}

// One call's way to the server and back. At any time either one entry of the
// clock's queue or the server has it.
class NetworkCalls::Transfer final : public ExchangeCall {
 public:
  Transfer(NetworkCalls& network, ExchangeCall& caller)
      : network_(network), caller_(&caller) {
    request = caller.request;
    update = caller.update;
  }

  bool IsOf(const ExchangeCall& caller) const { return caller_ == &caller; }

  void Begin() { Send(network_.worker_, update.size()); }

  // The caller goes; true: the transfer is with the server.
  bool Leave() {
    caller_ = nullptr;
    return stage_ == kServed;
  }

  absl::Span<char> ReplyBuffer(size_t bytes) override {
    reply_bytes_ = bytes;
    if (caller_ != nullptr) return caller_->ReplyBuffer(bytes);
    nobodys_.resize(bytes);
    return absl::MakeSpan(nobodys_);
  }

  void Finish(absl::Status status, pb::ExchangeReply reply) override {
    if (status.ok() && request.sequence() > 0 && request.shard() == 0) {
      network_.on_push_(request.samples(), reply.refused());
    }
    if (caller_ == nullptr) return network_.Forget(*this);
    status_ = std::move(status);
    reply_ = std::move(reply);
    stage_ = kCopied;
    Work(reply_bytes_);
  }

 private:
  // What has just happened when Go is called.
  enum Stage {
    kSent,      // the first byte reaches the receiver's port
    kReceived,  // the last one has
    kTakenIn,   // by the server's core
    kServed,    // not an entry of the clock: the server has it
    kCopied,    // the reply, by the server's core
    kAnswered,  // as kSent
    kBack       // as kReceived
  };

  void At(absl::Time time) {
    network_.clock_.After(time - network_.clock_.Now(), [this] { Go(); });
  }
  void Send(Machine& from, size_t bytes) {
    at_port_ = network_.spec_.network.rate.TimeOf(static_cast<int64_t>(bytes));
    At(from.out.Take(network_.clock_.Now(), at_port_) +
       network_.spec_.network.latency);
  }
  void Receive(Machine& to) {
    At(to.in.Take(network_.clock_.Now(), at_port_) + at_port_);
  }
  // The server's core does something with so many bytes.
  void Work(size_t bytes) {
    const absl::Duration busy =
        network_.spec_.server_rate.TimeOf(static_cast<int64_t>(bytes));
    if (busy == absl::ZeroDuration()) return Go();
    At(network_.server_.core.Take(network_.clock_.Now(), busy) + busy);
  }

  void Go() {
    if (caller_ == nullptr) return network_.Forget(*this);
    switch (stage_) {
      case kSent:
        stage_ = kReceived;
        return Receive(network_.server_);
      case kReceived:
        stage_ = kTakenIn;
        return Work(update.size());
      case kTakenIn:
        stage_ = kServed;
        return network_.next_.Exchange(*this);
      case kServed:
        return;
      case kCopied:
        stage_ = kAnswered;
        return Send(network_.server_, reply_bytes_);
      case kAnswered:
        stage_ = kBack;
        return Receive(network_.worker_);
      case kBack: {
        ExchangeCall* const caller = caller_;
        absl::Status status = std::move(status_);
        pb::ExchangeReply reply = std::move(reply_);
        network_.Forget(*this);
        caller->Finish(std::move(status), std::move(reply));
      }
    }
  }

  NetworkCalls& network_;
  ExchangeCall* caller_;  // null: nobody waits for it any more
  Stage stage_ = kSent;
  absl::Duration at_port_;  // how long the message keeps a port busy
  size_t reply_bytes_ = 0;
  absl::Status status_;
  pb::ExchangeReply reply_;
  std::vector<char> nobodys_;
};

NetworkCalls::NetworkCalls(ServerCalls& next, Machine& worker, Machine& server,
                           const SimulationSpec& spec, VirtualClock& clock,
                           const OnPush& on_push)
    : next_(next),
      worker_(worker),
      server_(server),
      spec_(spec),
      clock_(clock),
      on_push_(on_push) {}

NetworkCalls::~NetworkCalls() = default;

absl::Status NetworkCalls::GetJob(const pb::GetJobRequest& request,
                                  pb::JobStatus& reply) {
  return next_.GetJob(request, reply);
}
absl::Status NetworkCalls::Join(const pb::JoinRequest& request,
                                pb::JoinReply& reply) {
  return next_.Join(request, reply);
}
absl::Status NetworkCalls::Report(const pb::ReportRequest& request,
                                  pb::ReportReply& reply) {
  return next_.Report(request, reply);
}

void NetworkCalls::Exchange(ExchangeCall& call) {
  transfers_.push_back(std::make_unique<Transfer>(*this, call));
  transfers_.back()->Begin();
}

void NetworkCalls::Cancel(ExchangeCall& call) {
  const auto it = std::find_if(transfers_.begin(), transfers_.end(),
                               [&](const auto& t) { return t->IsOf(call); });
  if (it == transfers_.end()) return;
  Transfer& transfer = **it;
  // A server that still has it finishes it now.
  if (transfer.Leave()) next_.Cancel(transfer);
  call.Finish(absl::CancelledError("the caller gave up waiting"), {});
}

void NetworkCalls::Forget(const Transfer& transfer) {
  std::erase_if(transfers_,
                [&](const auto& one) { return one.get() == &transfer; });
}

}  // namespace monsoon
