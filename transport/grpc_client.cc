// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc_client.h"

#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "grpcpp/create_channel.h"
#include "transport/address.h"
#include "transport/grpc_message.h"
#include "transport/grpc_settings.h"
#include "transport/status.h"

namespace monsoon {
namespace {

constexpr absl::Duration kGiveUpEvery = absl::Milliseconds(50);
constexpr char kExchangeMethod[] = "/monsoon.v1.ParameterServer/Exchange";

// gRPC counts on its own clock.
gpr_timespec After(absl::Duration timeout) {
  return gpr_time_add(
      gpr_now(GPR_CLOCK_MONOTONIC),
      gpr_time_from_millis(absl::ToInt64Milliseconds(timeout), GPR_TIMESPAN));
}

}  // namespace

struct GrpcClient::Flight {
  grpc::ClientContext context;
  grpc::ByteBuffer request;
  grpc::ByteBuffer reply;
};

absl::StatusOr<std::unique_ptr<GrpcClient>> GrpcClient::Create(
    const std::string& address, Clock& clock) {
  ASSIGN_OR_RETURN(const Address parsed, ParseAddress(address));
  if (parsed.port == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("address \"", address,
                     "\" has port 0; expected the port on which the server "
                     "says it listens, 1 to 65535"));
  }
  grpc::ChannelArguments arguments;
  for (const auto& [name, value] : ClientSettings()) {
    arguments.SetInt(name, value);
  }
  auto channel = grpc::CreateCustomChannel(
      "dns:///" + parsed.text(), grpc::InsecureChannelCredentials(), arguments);
  return std::unique_ptr<GrpcClient>(
      new GrpcClient(parsed.text(), clock, std::move(channel)));
}

GrpcClient::GrpcClient(std::string address, Clock& clock,
                       std::shared_ptr<grpc::Channel> channel)
    : address_(std::move(address)),
      clock_(clock),
      stub_(pb::ParameterServer::NewStub(channel)),
      health_(Health::NewStub(channel)),
      generic_(std::move(channel)) {}

GrpcClient::~GrpcClient() {
  const std::unique_ptr<Event> finished = clock_.NewEvent();
  std::vector<std::shared_ptr<Flight>> flights;
  {
    absl::MutexLock lock(&mu_);
    if (unfinished_ == 0) return;
    finished_ = finished.get();
    for (const auto& [call, flight] : flights_) flights.push_back(flight);
  }
  for (const auto& flight : flights) flight->context.TryCancel();
  finished->Wait(absl::InfiniteFuture());
  absl::MutexLock last(&mu_);  // whoever set the event has let go of it
}

absl::Status GrpcClient::Named(absl::Status status) const {
  if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
    return status;
  }
  return absl::Status(
      status.code(), absl::StrCat("server ", address_, ": ", status.message()));
}

template <typename Request, typename Reply, typename Stub>
absl::Status GrpcClient::Control(Stub* stub,
                                 Method<Request, Reply, Stub> method,
                                 const Request& request, Reply& reply,
                                 const Wait& wait) {
  const std::unique_ptr<Event> done = clock_.NewEvent();
  grpc::Status status;
  grpc::ClientContext context;
  context.set_deadline(After(wait.timeout));
  context.set_wait_for_ready(wait.for_server);
  (stub->*method)(&context, &request, &reply, [&](grpc::Status result) {
    status = std::move(result);
    done->Set();
  });
  while (wait.give_up && !done->Wait(clock_.Now() + kGiveUpEvery)) {
    if (!wait.give_up()) continue;
    context.TryCancel();
    break;
  }
  done->Wait(absl::InfiniteFuture());  // gRPC keeps the deadline
  return Named(FromGrpc(status));
}

absl::Status GrpcClient::WaitConnected(absl::Time deadline,
                                       const std::function<bool()>& give_up) {
  const absl::Time started = clock_.Now();
  const pb::GetJobRequest request;
  pb::JobStatus reply;
  const absl::Status status = Control<pb::GetJobRequest, pb::JobStatus, Async>(
      stub_->async(), &Async::GetJob, request, reply,
      {.timeout = deadline - started, .for_server = true, .give_up = give_up});
  if (status.ok() || absl::IsNotFound(status)) return absl::OkStatus();
  if (absl::IsCancelled(status)) {
    return absl::CancelledError(
        absl::StrCat("interrupted while waiting for a server at ", address_));
  }
  if (absl::IsUnimplemented(status)) {
    return absl::UnimplementedError(
        absl::StrCat("what listens at ", address_,
                     " is no monsoon-server: ", status.message()));
  }
  return absl::UnavailableError(absl::StrFormat(
      "no monsoon-server answered at %s within %.1f s; start one there with "
      "monsoon-server --listen, or see that name, port and firewall let this "
      "machine reach it%s",
      address_, absl::ToDoubleSeconds(clock_.Now() - started),
      absl::IsDeadlineExceeded(status)
          ? ""
          : absl::StrCat(" (", status.message(), ")")));
}

absl::Status GrpcClient::CheckHealth() {
  using Asked = grpc::health::v1::HealthCheckRequest;
  using Answer = grpc::health::v1::HealthCheckResponse;
  using Stub = Health::StubInterface::async_interface;
  Answer answer;
  RETURN_IF_ERROR((Control<Asked, Answer, Stub>(health_->async(), &Stub::Check,
                                                Asked(), answer, {})));
  if (answer.status() == Answer::SERVING) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("server ", address_, " says of itself ",
                   Answer::ServingStatus_Name(answer.status())));
}

absl::Status GrpcClient::Probe(const pb::ProbeRequest& request,
                               pb::ProbeReply& reply) {
  return Control<pb::ProbeRequest, pb::ProbeReply, Async>(
      stub_->async(), &Async::Probe, request, reply, {});
}

absl::Status GrpcClient::GetJob(const pb::GetJobRequest& request,
                                pb::JobStatus& reply) {
  return Control<pb::GetJobRequest, pb::JobStatus, Async>(
      stub_->async(), &Async::GetJob, request, reply, {});
}

absl::Status GrpcClient::Join(const pb::JoinRequest& request,
                              pb::JoinReply& reply) {
  return Control<pb::JoinRequest, pb::JoinReply, Async>(
      stub_->async(), &Async::Join, request, reply, {});
}

absl::Status GrpcClient::Report(const pb::ReportRequest& request,
                                pb::ReportReply& reply) {
  return Control<pb::ReportRequest, pb::ReportReply, Async>(
      stub_->async(), &Async::Report, request, reply, {});
}

void GrpcClient::Exchange(ExchangeCall& call) {
  const auto flight = std::make_shared<Flight>();
  grpc::Slice values;
  if (!call.update.empty()) {
    values = NewPayload(call.update.size());
    std::memcpy(BytesOf(values).data(), call.update.data(), values.size());
  }
  flight->request = WriteMessage(call.request, values);
  flight->context.set_deadline(After(kExchangeDeadline));
  {
    absl::MutexLock lock(&mu_);
    ++unfinished_;
    const bool is_new = flights_.emplace(&call, flight).second;
    MONSOON_CHECK(is_new, "a call is in flight once");
  }
  generic_.UnaryCall(
      &flight->context, kExchangeMethod, {}, &flight->request, &flight->reply,
      [this, &call](const grpc::Status& status) { Finish(call, status); });
}

void GrpcClient::Finish(ExchangeCall& call, const grpc::Status& status) {
  std::shared_ptr<Flight> flight;
  {
    absl::MutexLock lock(&mu_);
    const auto it = flights_.find(&call);
    flight = std::move(it->second);
    flights_.erase(it);
  }
  pb::ExchangeReply reply;
  ReceivedMessage message;
  absl::Status result = Named(FromGrpc(status));
  if (result.ok()) result = message.Read(flight->reply, reply);
  if (result.ok() && message.size() > 0) {
    const absl::Span<char> room = call.ReplyBuffer(message.size());
    if (room.size() == message.size()) {
      message.CopyTo(room);
    } else {
      result = absl::InternalError(
          absl::StrCat("server ", address_, " answered with ", message.size(),
                       " bytes of values, expected ", room.size()));
    }
  }
  call.Finish(std::move(result), std::move(reply));
  // Its context owns the channel with us. The last owner must not be this
  // thread: with the last channel of the process gRPC ends the threads that run
  // callbacks, and one of them cannot wait for itself.
  flight.reset();
  absl::MutexLock lock(&mu_);
  if (--unfinished_ == 0 && finished_ != nullptr) finished_->Set();
}

void GrpcClient::Cancel(ExchangeCall& call) {
  std::shared_ptr<Flight> flight;
  {
    absl::MutexLock lock(&mu_);
    const auto it = flights_.find(&call);
    if (it == flights_.end()) return;
    flight = it->second;
  }
  flight->context.TryCancel();  // may run callbacks: not under the lock
}

}  // namespace monsoon
