// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/flat.h"
#include "transport/server_calls.h"

namespace monsoon {

// A server without shards: answers an exchange with the values that came, a
// pull with as many ones as `local_steps` says, and parks those with `rounds`.
class FakeCalls final : public ServerCalls {
 public:
  absl::Status GetJob(const pb::GetJobRequest&, pb::JobStatus& reply) override {
    ++controls;
    reply.set_job_id(42);
    return absl::OkStatus();
  }
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override {
    ++controls;
    reply.set_local_socket(local_socket);
    if (request.worker() >= 0) return absl::OkStatus();
    return absl::FailedPreconditionError("the job has lr = 0.1, not 0.2");
  }
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override {
    ++controls;
    reply.set_stop(request.report().message());
    return absl::OkStatus();
  }
  void Exchange(ExchangeCall& call) override {
    ++exchanges;
    received += call.update.size();
    if (call.request.rounds() == 0) return Answer(call);
    absl::MutexLock lock(&mu_);
    parked_.push_back(&call);
  }
  void Cancel(ExchangeCall& call) override {
    {
      absl::MutexLock lock(&mu_);
      if (std::erase(parked_, &call) == 0) return;
    }
    ++cancelled;
    call.Finish(absl::CancelledError("the caller left"), {});
  }

  void AnswerParked() {
    std::vector<ExchangeCall*> calls;
    {
      absl::MutexLock lock(&mu_);
      calls.swap(parked_);
    }
    for (ExchangeCall* call : calls) Answer(*call);
  }
  size_t parked() const {
    absl::MutexLock lock(&mu_);
    return parked_.size();
  }

  std::string local_socket;
  std::atomic<int> controls = 0;
  std::atomic<int> exchanges = 0;
  std::atomic<size_t> received = 0;  // bytes of values in all
  std::atomic<int> cancelled = 0;
  std::atomic<int> misaligned = 0;

 private:
  void Answer(ExchangeCall& call) {
    const auto address = reinterpret_cast<uintptr_t>(call.update.data());
    if (address % 64 != 0) ++misaligned;
    const bool is_pull = call.request.kind() == pb::ExchangeRequest::PULL;
    const size_t size = is_pull ? call.request.local_steps() * sizeof(float)
                                : call.update.size();
    if (size > 0) {
      const absl::Span<char> room = call.ReplyBuffer(size);
      if (is_pull) {
        const absl::Span<float> floats = AsFloats(room);
        std::fill(floats.begin(), floats.end(), 1.0f);
      } else {
        std::copy(call.update.begin(), call.update.end(), room.begin());
      }
    }
    pb::ExchangeReply reply;
    reply.set_version(call.request.sequence());
    call.Finish(absl::OkStatus(), std::move(reply));
  }

  mutable absl::Mutex mu_;
  std::vector<ExchangeCall*> parked_ ABSL_GUARDED_BY(mu_);
};

// An exchange that a test makes and waits for.
class TestCall final : public ExchangeCall {
 public:
  explicit TestCall(std::vector<float> values = {})
      : sent(std::move(values)), done_(RealClock().NewEvent()) {
    request.set_kind(sent.empty() ? pb::ExchangeRequest::PULL
                                  : pb::ExchangeRequest::PUSH_PULL);
    update = AsBytes(absl::MakeConstSpan(sent));
  }
  absl::Span<char> ReplyBuffer(size_t bytes) override {
    received.resize(bytes / sizeof(float));
    return AsBytes(absl::MakeSpan(received));
  }
  void Finish(absl::Status result, pb::ExchangeReply answer) override {
    status = std::move(result);
    reply = std::move(answer);
    ++finished;
    done_->Set();
  }
  bool Wait(absl::Duration timeout = absl::Seconds(30)) {
    return done_->Wait(RealClock().Now() + timeout);
  }

  const std::vector<float> sent;
  std::vector<float> received;
  absl::Status status = absl::UnknownError("not finished");
  pb::ExchangeReply reply;
  std::atomic<int> finished = 0;

 private:
  std::unique_ptr<Event> done_;
};

// Waits for what has no event of its own; false when it does not come to be.
template <typename Condition>
bool Eventually(Condition condition,
                absl::Duration timeout = absl::Seconds(30)) {
  const absl::Time deadline = RealClock().Now() + timeout;
  while (!condition()) {
    if (RealClock().Now() > deadline) return false;
    const auto never = RealClock().NewEvent();
    never->Wait(RealClock().Now() + absl::Milliseconds(2));
  }
  return true;
}

}  // namespace monsoon
