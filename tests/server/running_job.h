// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "server/hosted_shard.h"
#include "server/server.h"
#include "tests/hand_clock.h"
#include "tests/server/recorded_call.h"

namespace monsoon {

// Of a shard that a test hosts by itself.
inline HostedShard::Rules RulesOf(const Trainer& trainer) {
  static const Wire kPlain;
  return {
      .trainer = trainer, .samples = 100, .wire = kPlain, .clock = RealClock()};
}

// Three floats in one shard, trainer downpour in delta form: center += value.
inline pb::JobSpec DeltaJob(int workers) {
  pb::JobSpec spec;
  spec.set_trainer("downpour");
  (*spec.mutable_hyper())["form"] = "delta";
  pb::Tensor& tensor = *spec.add_tensors();
  tensor.set_name("x");
  tensor.add_shape(3);
  spec.add_shards()->set_size(3);
  spec.set_servers(1);
  spec.set_workers(workers);
  spec.set_samples(1000);
  (*spec.mutable_settings())["model"] = "mlp";
  return spec;
}

inline pb::JoinRequest JoinAs(int worker, const pb::JobSpec& spec,
                              uint64_t job = 7) {
  pb::JoinRequest request;
  request.set_job_id(job);
  request.set_worker(worker);
  request.set_incarnation(static_cast<uint64_t>(worker) + 100);
  *request.mutable_spec() = spec;
  return request;
}

inline absl::Status TryJoin(Server& server, const pb::JoinRequest& request) {
  pb::JoinReply reply;
  return server.Join(request, reply);
}

inline absl::Status End(Server& server, int worker, pb::WorkerState state,
                        const std::string& message = "") {
  pb::ReportRequest request;
  request.set_job_id(7);
  request.set_worker(worker);
  request.set_incarnation(static_cast<uint64_t>(worker) + 100);
  request.mutable_report()->set_state(state);
  request.mutable_report()->set_message(message);
  pb::ReportReply reply;
  return server.Report(request, reply);
}

// A server with a running job of two workers and the center {1, 2, 3}.
struct RunningJob {
  explicit RunningJob(int workers = 2) : server(clock) {
    for (int worker = 0; worker < workers; ++worker) {
      REQUIRE(TryJoin(server, JoinAs(worker, DeltaJob(workers))).ok());
    }
    RecordedCall init(pb::ExchangeRequest::INITIALIZE, 7, 0, {1, 2, 3});
    server.Exchange(init);
    REQUIRE(init.status == absl::OkStatus());
  }
  std::vector<float> Center() {
    RecordedCall pull(pb::ExchangeRequest::PULL, 7, -1);
    server.Exchange(pull);
    REQUIRE(pull.status == absl::OkStatus());
    return pull.reply_values;
  }
  HandClock clock;
  Server server;
};

}  // namespace monsoon
