// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc_server.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server_builder.h"
#include "proto/monsoon.grpc.pb.h"
#include "transport/address.h"
#include "transport/grpc_message.h"
#include "transport/grpc_settings.h"
#include "transport/status.h"

namespace monsoon {
namespace {

constexpr int kShutdownGraceMs = 100;
// For reflection alone, whose streams each take one; all else takes none. More
// streams than that are refused with RESOURCE_EXHAUSTED.
constexpr int kReflectionThreads = 4;

// One exchange on the server's side. Owns itself: gRPC says when it is over.
class ServedExchange final : public grpc::ServerUnaryReactor,
                             public ExchangeCall {
 public:
  ServedExchange(ServerCalls& calls, grpc::ByteBuffer& answer)
      : calls_(calls), answer_(answer) {}

  // What happens meanwhile, OnDone included, waits until gRPC was handed *this.
  void Start(const grpc::ByteBuffer& bytes) {
    ReceivedMessage message;
    const absl::Status status = message.Read(bytes, request);
    if (!status.ok()) return grpc::ServerUnaryReactor::Finish(ToGrpc(status));
    if (message.size() > 0) {
      values_ = NewPayload(message.size());
      message.CopyTo(BytesOf(values_));
      update = BytesOf(values_);
    }
    calls_.Exchange(*this);
  }

  absl::Span<char> ReplyBuffer(size_t bytes) override {
    reply_ = NewPayload(bytes);
    return BytesOf(reply_);
  }

  void Finish(absl::Status status, pb::ExchangeReply reply) override {
    if (status.ok()) answer_ = WriteMessage(reply, reply_);
    grpc::ServerUnaryReactor::Finish(ToGrpc(status));
  }

 private:
  // The call is alive until OnDone, which waits for this to return.
  void OnCancel() override { calls_.Cancel(*this); }
  void OnDone() override { delete this; }

  ServerCalls& calls_;
  grpc::ByteBuffer& answer_;
  grpc::Slice values_;
  grpc::Slice reply_;
};

using Base = pb::ParameterServer::WithCallbackMethod_GetJob<
    pb::ParameterServer::WithCallbackMethod_Join<
        pb::ParameterServer::WithCallbackMethod_Report<
            pb::ParameterServer::WithCallbackMethod_Probe<
                pb::ParameterServer::WithRawCallbackMethod_Exchange<
                    pb::ParameterServer::Service>>>>>;

// Enough to measure by; whoever asks holds so much of this process's memory.
constexpr int64_t kMostProbed = int64_t{1} << 20;

// What no job is asked for.
absl::Status AnswerProbe(const pb::ProbeRequest& request,
                         pb::ProbeReply& reply) {
  const int64_t bytes = request.reply_bytes();
  if (bytes < 0 || bytes > kMostProbed) {
    return absl::InvalidArgumentError(absl::StrCat(
        "reply_bytes is ", bytes, ", expected 0 to ", kMostProbed));
  }
  const ProcessInfo process = ThisProcess();
  reply.set_version(MONSOON_VERSION);
  reply.set_host(process.host);
  reply.set_pid(process.pid);
  reply.mutable_values()->resize(static_cast<size_t>(bytes));
  return absl::OkStatus();
}

class Service final : public Base {
 public:
  explicit Service(ServerCalls& calls) : calls_(calls) {}

 private:
  using Reactor = grpc::ServerUnaryReactor;
  using Context = grpc::CallbackServerContext;

  static Reactor* Answer(Context* context, const absl::Status& status) {
    Reactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(status));
    return reactor;
  }

  Reactor* GetJob(Context* context, const pb::GetJobRequest* request,
                  pb::JobStatus* reply) override {
    return Answer(context, calls_.GetJob(*request, *reply));
  }
  Reactor* Join(Context* context, const pb::JoinRequest* request,
                pb::JoinReply* reply) override {
    return Answer(context, calls_.Join(*request, *reply));
  }
  Reactor* Report(Context* context, const pb::ReportRequest* request,
                  pb::ReportReply* reply) override {
    return Answer(context, calls_.Report(*request, *reply));
  }
  Reactor* Probe(Context* context, const pb::ProbeRequest* request,
                 pb::ProbeReply* reply) override {
    return Answer(context, AnswerProbe(*request, *reply));
  }
  Reactor* Exchange(Context*, const grpc::ByteBuffer* request,
                    grpc::ByteBuffer* reply) override {
    auto* call = std::make_unique<ServedExchange>(calls_, *reply).release();
    call->Start(*request);
    return call;
  }

  ServerCalls& calls_;
};

// Answers what services there are and what their messages look like. As an
// option of one server: gRPC's own way is for all servers of a process.
class WithReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>*
                         plugins) override {
    plugins->push_back(
        std::make_unique<grpc::reflection::ProtoServerReflectionPlugin>());
  }
};

absl::Status CannotListen(const Address& address) {
  return absl::UnavailableError(absl::StrCat(
      "cannot listen on ", address.text(),
      ": the port is taken or the address is none of this machine's; see who "
      "has the port with `ss -ltnp 'sport = :",
      address.port, "'`, or choose another --listen"));
}

}  // namespace

GrpcServer::GrpcServer() = default;

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    ServerCalls& calls, const std::string& listen) {
  ASSIGN_OR_RETURN(const Address address, ParseAddress(listen));
  std::unique_ptr<GrpcServer> server(new GrpcServer);
  server->service_ = std::make_unique<Service>(calls);
  // Of all servers of this process: gRPC has no other way.
  static const bool kTellsHealth =
      (grpc::EnableDefaultHealthCheckService(true), true);
  static_cast<void>(kTellsHealth);
  grpc::ServerBuilder builder;
  for (const auto& [name, value] : ServerSettings()) {
    builder.AddChannelArgument(name, value);
  }
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.AddListeningPort(address.text(), grpc::InsecureServerCredentials(),
                           &server->port_);
  builder.RegisterService(server->service_.get());
  builder.SetOption(std::make_unique<WithReflection>());
  builder.SetResourceQuota(
      grpc::ResourceQuota().SetMaxThreads(kReflectionThreads));
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || server->port_ == 0) {
    return CannotListen(address);
  }
  server->server_->GetHealthCheckService()->SetServingStatus(
      pb::ParameterServer::service_full_name(), true);
  return server;
}

GrpcServer::~GrpcServer() { Shutdown(); }

void GrpcServer::Shutdown() {
  if (server_ == nullptr) return;
  server_->GetHealthCheckService()->Shutdown();  // who watches is told first
  server_->Shutdown(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                   gpr_time_from_millis(kShutdownGraceMs, GPR_TIMESPAN)));
}

}  // namespace monsoon
