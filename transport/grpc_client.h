// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "proto/monsoon.grpc.pb.h"
#include "transport/server_calls.h"

namespace monsoon {

// A control call that is not answered within this time fails with
// DEADLINE_EXCEEDED.
inline constexpr absl::Duration kControlDeadline = absl::Seconds(10);
// An exchange likewise, parked or not; whoever waits less cancels it.
inline constexpr absl::Duration kExchangeDeadline = absl::Hours(2);

// A server behind a network: one connection, any number of calls in flight,
// never repeated by themselves. UNAVAILABLE and DEADLINE_EXCEEDED name the
// server. Thread-safe.
//
// The control calls block, hence must not be made on gRPC's threads: not from
// ExchangeCall::Finish, which runs on them and must not block either.
//
// The update of an exchange is copied once: after a call was cancelled or has
// failed, gRPC may still read what it has not sent yet. Answers are copied
// from the network's slices straight into ReplyBuffer.
class GrpcClient final : public ServerCalls {
 public:
  // INVALID_ARGUMENT when `address` is none (see transport/address.h). Does
  // not connect. `clock` outlives the client.
  static absl::StatusOr<std::unique_ptr<GrpcClient>> Create(
      const std::string& address, Clock& clock);
  // Cancels the calls in flight and waits until they have finished.
  ~GrpcClient() override;

  const std::string& address() const { return address_; }

  // Waits until the server answers; it may start later than its workers.
  // UNAVAILABLE, or UNIMPLEMENTED when something else answers at its address.
  // CANCELLED soon after `give_up`, asked every 50 ms, says true.
  absl::Status WaitConnected(absl::Time deadline,
                             const std::function<bool()>& give_up = nullptr);

  // What the server says of itself (grpc.health.v1.Health): OK while it takes
  // calls, UNAVAILABLE when it says that it does not, UNIMPLEMENTED when it
  // does not know the question.
  absl::Status CheckHealth();
  absl::Status Probe(const pb::ProbeRequest& request, pb::ProbeReply& reply);

  absl::Status GetJob(const pb::GetJobRequest& request,
                      pb::JobStatus& reply) override;
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override;
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override;
  void Exchange(ExchangeCall& call) override;
  void Cancel(ExchangeCall& call) override;

 private:
  struct Flight;
  using Async = pb::ParameterServer::StubInterface::async_interface;
  using Health = grpc::health::v1::Health;
  // Of `Stub`, Async or that of Health.
  template <typename Request, typename Reply, typename Stub>
  using Method = void (Stub::*)(grpc::ClientContext*, const Request*, Reply*,
                                std::function<void(grpc::Status)>);

  GrpcClient(std::string address, Clock& clock,
             std::shared_ptr<grpc::Channel> channel);

  struct Wait {
    absl::Duration timeout = kControlDeadline;
    bool for_server = false;  // which may not be there yet
    const std::function<bool()>& give_up = nullptr;
  };
  // Makes a control call and waits for its end.
  template <typename Request, typename Reply, typename Stub>
  absl::Status Control(Stub* stub, Method<Request, Reply, Stub> method,
                       const Request& request, Reply& reply, const Wait& wait);
  // On a thread of gRPC's: hands the answer on.
  void Finish(ExchangeCall& call, const grpc::Status& status);
  absl::Status Named(absl::Status status) const;

  const std::string address_;
  Clock& clock_;
  const std::unique_ptr<pb::ParameterServer::Stub> stub_;
  const std::unique_ptr<Health::Stub> health_;
  grpc::GenericStub generic_;  // for messages that are raw bytes

  absl::Mutex mu_;
  // Shared: by the call and by whoever is cancelling it as it ends.
  std::map<ExchangeCall*, std::shared_ptr<Flight>> flights_
      ABSL_GUARDED_BY(mu_);
  int64_t unfinished_ ABSL_GUARDED_BY(mu_) = 0;
  Event* finished_ ABSL_GUARDED_BY(mu_) = nullptr;  // someone waits for 0
};

}  // namespace monsoon
