// SPDX-License-Identifier: Apache-2.0
// A binary of its own, because it replaces operator new to count.
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>
#include <new>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/random_id.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/server_builder.h"
#include "proto/monsoon.grpc.pb.h"
#include "server/server.h"
#include "tests/counted_allocations.h"
#include "tests/worker/counted_pushes.h"
#include "transport/grpc_client.h"
#include "transport/grpc_server.h"
#include "transport/grpc_settings.h"
#include "transport/shm_client.h"
#include "transport/shm_server.h"
#include "worker/shard_link.h"

namespace monsoon {
namespace {

const bool kPrepared = (PrepareGrpc(), true);

constexpr uint64_t kJobId = 7;
constexpr int kExchanges = 200;
const CountedJob kJob = {.workers = 1, .shards = 6, .shard_floats = 1000};

// Allocations of both sides together while `calls` carries exchanges.
int64_t OfExchanges(ServerCalls& calls, TraceSink* trace = nullptr) {
  pb::JoinReply joined;
  REQUIRE(calls.Join(kJob.JoinAs(0, 0, kJobId, 1), joined) == absl::OkStatus());
  ShardLink link({.servers = {&calls},
                  .shards = kJob.Shards(),
                  .job_id = kJobId,
                  .worker = 0,
                  .incarnation = 1,
                  .trace = trace},
                 RealClock());
  Flat update(kJob.floats()), reply(kJob.floats());
  REQUIRE(link.Initialize(update) == absl::OkStatus());
  const auto exchange = [&] {
    int failures = 0;
    for (int i = 0; i < kExchanges; ++i) {
      failures += link.Push(update).ok() ? 0 : 1;
      failures += link.Pull(reply).ok() ? 0 : 1;
      failures += link.PushPull(update, reply).ok() ? 0 : 1;
    }
    return failures;
  };
  REQUIRE(exchange() == 0);
  const int64_t before = allocations;
  const int failures = exchange();
  const int64_t made = allocations - before;
  CHECK(failures == 0);
  return made;
}

// Answers every exchange with nothing, as gRPC's examples do.
class BareService final
    : public pb::ParameterServer::WithRawCallbackMethod_Exchange<
          pb::ParameterServer::Service> {
  grpc::ServerUnaryReactor* Exchange(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer*,
                                     grpc::ByteBuffer* reply) override {
    const grpc::Slice nothing;
    *reply = grpc::ByteBuffer(&nothing, 1);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

// Allocations of both sides together for `count` empty calls in turn.
int64_t OfBareCalls(int count) {
  BareService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  REQUIRE(server != nullptr);
  grpc::GenericStub stub(grpc::CreateChannel(
      absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  const auto done = RealClock().NewEvent();
  const auto call = [&] {
    grpc::ClientContext context;
    const grpc::Slice nothing;
    const grpc::ByteBuffer request(&nothing, 1);
    grpc::ByteBuffer reply;
    grpc::Status status;
    done->Reset();
    stub.UnaryCall(&context, "/monsoon.v1.ParameterServer/Exchange", {},
                   &request, &reply, [&](const grpc::Status& result) {
                     status = result;
                     done->Set();
                   });
    done->Wait(absl::InfiniteFuture());
    return status.ok() ? 0 : 1;
  };
  int failures = 0;
  for (int i = 0; i < count; ++i) failures += call();
  const int64_t before = allocations;
  for (int i = 0; i < count; ++i) failures += call();
  const int64_t made = allocations - before;
  CHECK(failures == 0);
  server->Shutdown();
  return made;
}

TEST_CASE("The counter counts", "[worker]") {
  const int64_t before = allocations;
  Flat flat(1000);
  CHECK(allocations > before);
}

TEST_CASE("An exchange within a process allocates nothing", "[worker]") {
  Server server(RealClock());
  CHECK(OfExchanges(server) == 0);
}

// Counts, of requests and waits.
class CountingSink final : public TraceSink {
 public:
  void Add(const TraceSpan& span) override {
    ++(span.shard >= 0 ? requests : waits);
  }
  std::atomic<int> requests = 0, waits = 0;
};

TEST_CASE("A trace of an exchange allocates nothing", "[worker]") {
  Server server(RealClock());
  CountingSink trace;
  CHECK(OfExchanges(server, &trace) == 0);
  // Twice push, pull and both, and the initial center.
  CHECK(trace.requests == (2 * 3 * kExchanges + 1) * kJob.shards);
  CHECK(trace.waits == 2 * 3 * kExchanges + 1);
}

TEST_CASE("An exchange through shared memory allocates nothing", "[worker]") {
  const std::string name = absl::StrCat("monsoon-test/", RandomId());
  Server server(RealClock(), {.local_socket = name});
  const auto carrier = ShmServer::Start(server, name, RealClock());
  REQUIRE(carrier.ok());
  ShmClient client(server, /*is_required=*/true);
  CHECK(OfExchanges(client) == 0);
}

TEST_CASE("An exchange over gRPC allocates little beyond an empty call of it",
          "[worker]") {
  Server server(RealClock());
  const auto carrier = GrpcServer::Start(server, "127.0.0.1:0");
  REQUIRE(carrier.ok());
  const auto client = *GrpcClient::Create(
      absl::StrCat("127.0.0.1:", (*carrier)->port()), RealClock());
  REQUIRE(client->WaitConnected(RealClock().Now() + absl::Seconds(10)).ok());
  const int64_t calls = int64_t{3} * kExchanges * kJob.shards;
  const double ours = static_cast<double>(OfExchanges(*client)) / calls;
  const double bare =
      static_cast<double>(OfBareCalls(static_cast<int>(calls))) / calls;
  CHECK(bare > 0);
  // Both ends: a payload's memory and its slice, thrice; the call's state and
  // its place in the client's map; lists of what the network brought.
  CHECK(ours <= bare + 24);
}

}  // namespace
}  // namespace monsoon
