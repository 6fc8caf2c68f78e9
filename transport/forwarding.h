// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/server_calls.h"

namespace monsoon {

// Hands every call on to a server that outlives it: for what changes one.
class ForwardingCalls : public ServerCalls {
 public:
  explicit ForwardingCalls(ServerCalls& next) : next_(next) {}

  absl::Status GetJob(const pb::GetJobRequest& request,
                      pb::JobStatus& reply) override {
    return next_.GetJob(request, reply);
  }
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override {
    return next_.Join(request, reply);
  }
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override {
    return next_.Report(request, reply);
  }
  void Exchange(ExchangeCall& call) override { next_.Exchange(call); }
  bool takes_device_memory() const override {
    return next_.takes_device_memory();
  }
  void Cancel(ExchangeCall& call) override { next_.Cancel(call); }
  absl::Status Map(uint64_t job_id, int worker, uint64_t incarnation,
                   Flat& center) override {
    return next_.Map(job_id, worker, incarnation, center);
  }

 protected:
  ServerCalls& next_;
};

}  // namespace monsoon
