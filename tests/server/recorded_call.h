// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "base/flat.h"
#include "transport/server_calls.h"

namespace monsoon {

// A call that keeps what the server answers, for tests on one thread.
class RecordedCall : public ExchangeCall {
 public:
  RecordedCall(pb::ExchangeRequest::Kind kind, uint64_t job, int worker,
               std::vector<float> values = {}, uint64_t sequence = 0)
      : values_(std::move(values)) {
    request.set_kind(kind);
    request.set_job_id(job);
    request.set_worker(worker);
    request.set_incarnation(static_cast<uint64_t>(worker) + 100);
    request.set_sequence(sequence);
    request.set_max_lead(-1);
    request.set_weight(1);
    request.set_local_steps(1);
    request.set_samples(10);
    update = AsBytes(absl::MakeConstSpan(values_));
  }

  absl::Span<char> ReplyBuffer(size_t bytes) override {
    reply_values.assign(bytes / sizeof(float), 0);
    return AsBytes(absl::MakeSpan(reply_values));
  }
  void Finish(absl::Status s, pb::ExchangeReply r) override {
    status = std::move(s);
    reply = std::move(r);
    ++finishes;
  }

  bool finished() const { return status.has_value(); }

  std::optional<absl::Status> status;
  pb::ExchangeReply reply;
  int finishes = 0;
  std::vector<float> reply_values;

 private:
  std::vector<float> values_;
};

}  // namespace monsoon
