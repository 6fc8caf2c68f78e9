// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "grpcpp/create_channel.h"
#include "proto/wire.h"
#include "tests/transport/fake_calls.h"
#include "transport/grpc_client.h"
#include "transport/grpc_server.h"
#include "transport/grpc_settings.h"

using namespace monsoon;

namespace {

const bool kPrepared = (PrepareGrpc(), true);

absl::Time In(absl::Duration timeout) { return RealClock().Now() + timeout; }

// A server and a client of it.
struct Pair {
  explicit Pair(const std::string& host = "127.0.0.1") {
    auto started = GrpcServer::Start(calls, host + ":0");
    REQUIRE(started.ok());
    server = *std::move(started);
    address = absl::StrCat(host, ":", server->port());
    client = *GrpcClient::Create(address, RealClock());
    REQUIRE(client->WaitConnected(In(absl::Seconds(10))).ok());
  }
  FakeCalls calls;
  std::unique_ptr<GrpcServer> server;
  std::string address;
  std::unique_ptr<GrpcClient> client;
};

std::vector<float> Numbers(size_t size) {
  std::vector<float> numbers(size);
  std::iota(numbers.begin(), numbers.end(), 0.5f);
  return numbers;
}

// What a client that knows nothing of the schema gets for `bytes`.
absl::Status SendBytes(const std::string& address, const std::string& bytes) {
  grpc::GenericStub stub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer reply;
  absl::Status status = absl::UnknownError("no answer");
  const auto done = RealClock().NewEvent();
  stub.UnaryCall(&context, "/monsoon.v1.ParameterServer/Exchange", {}, &request,
                 &reply, [&](const grpc::Status& result) {
                   status = absl::Status(
                       static_cast<absl::StatusCode>(result.error_code()),
                       result.error_message());
                   done->Set();
                 });
  done->Wait(absl::InfiniteFuture());
  return status;
}

int Threads() {
  std::ifstream file("/proc/self/status");
  std::string word;
  int threads = 0;
  while (file >> word) {
    if (word == "Threads:") file >> threads;
  }
  return threads;
}

bool HasIpv6Loopback() {
  std::ifstream file("/proc/net/if_inet6");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("00000000000000000000000000000001", 0) == 0) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("control calls pass through gRPC with their statuses") {
  Pair pair;
  pb::JobStatus status;
  CHECK(pair.client->GetJob({}, status).ok());
  CHECK(status.job_id() == 42);
  pb::JoinRequest join;
  pb::JoinReply joined;
  CHECK(pair.client->Join(join, joined).ok());
  join.set_worker(-1);
  CHECK(pair.client->Join(join, joined) ==
        absl::FailedPreconditionError("the job has lr = 0.1, not 0.2"));
  pb::ReportRequest report;
  report.mutable_report()->set_message("diverged");
  pb::ReportReply reply;
  CHECK(pair.client->Report(report, reply).ok());
  CHECK(reply.stop() == "diverged");
}

TEST_CASE("an exchange of any size up to the limit comes back as it went") {
  Pair pair;
  for (size_t size : {size_t{1}, size_t{2}, size_t{5}, size_t{6}, size_t{1000},
                      size_t{1'000'000}, kMaxPayloadBytes / 4}) {
    INFO(size);
    TestCall call(Numbers(size));
    call.request.set_sequence(size);
    pair.client->Exchange(call);
    REQUIRE(call.Wait());
    REQUIRE(call.status.ok());
    CHECK((call.received == call.sent));
    CHECK(call.reply.version() == static_cast<int64_t>(size));
  }
  CHECK(pair.calls.misaligned == 0);
}

TEST_CASE("a pull sends nothing and gets its floats; a push the reverse") {
  Pair pair;
  TestCall pull;
  pull.request.set_local_steps(3);
  pair.client->Exchange(pull);
  REQUIRE(pull.Wait());
  CHECK(pull.received == std::vector<float>{1, 1, 1});
  TestCall nothing;
  pair.client->Exchange(nothing);
  REQUIRE(nothing.Wait());
  CHECK(nothing.status.ok());
  CHECK(nothing.received.empty());
}

TEST_CASE("a message above the limit is refused and the server goes on") {
  Pair pair;
  TestCall large(Numbers((kMaxPayloadBytes + (64 << 10)) / 4));
  pair.client->Exchange(large);
  REQUIRE(large.Wait());
  CHECK(large.status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(pair.calls.exchanges == 0);
  TestCall reply;  // too large an answer: the client refuses it
  reply.request.set_local_steps((kMaxPayloadBytes + (64 << 10)) / 4);
  pair.client->Exchange(reply);
  REQUIRE(reply.Wait());
  CHECK(reply.status.code() == absl::StatusCode::kResourceExhausted);
  TestCall next({1});
  pair.client->Exchange(next);
  REQUIRE(next.Wait());
  CHECK(next.status.ok());
}

TEST_CASE("a thousand parked calls cost no thread") {
  Pair pair;
  const int threads_before = Threads();
  std::vector<std::unique_ptr<GrpcClient>> clients;
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 1000; ++i) {
    if (i % kMaxCalls == 0) {
      clients.push_back(*GrpcClient::Create(pair.address, RealClock()));
    }
    calls.push_back(std::make_unique<TestCall>(Numbers(10)));
    calls.back()->request.set_rounds(1);
    calls.back()->request.set_sequence(i);
    clients.back()->Exchange(*calls.back());
  }
  REQUIRE(Eventually([&] { return pair.calls.parked() == 1000; }));
  CHECK(Threads() <= threads_before + 16);
  int unfinished = 0;
  for (const auto& call : calls) unfinished += call->finished == 0;
  CHECK(unfinished == 1000);
  pair.calls.AnswerParked();
  int wrong = 0;
  for (int i = 0; i < 1000; ++i) {
    TestCall& call = *calls[i];
    wrong += !call.Wait() || !call.status.ok() || call.reply.version() != i ||
             call.received != call.sent;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a server takes so many calls of a connection at once, and no more") {
  Pair pair;
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < kMaxCalls + 20; ++i) {
    calls.push_back(std::make_unique<TestCall>(Numbers(10)));
    calls.back()->request.set_rounds(1);
    pair.client->Exchange(*calls.back());
  }
  REQUIRE(Eventually([&] { return pair.calls.parked() == kMaxCalls; }));
  // Nothing of the others has come when another connection was served.
  const auto other = *GrpcClient::Create(pair.address, RealClock());
  TestCall next({1});
  other->Exchange(next);
  REQUIRE(next.Wait());
  CHECK(pair.calls.parked() == kMaxCalls);
  pair.calls.AnswerParked();
  REQUIRE(Eventually([&] { return pair.calls.parked() == 20; }));
  pair.calls.AnswerParked();
  for (const auto& call : calls) REQUIRE((call->Wait() && call->status.ok()));
}

TEST_CASE("a cancelled call finishes and leaves the server's list") {
  Pair pair;
  TestCall call({1});
  call.request.set_rounds(1);
  pair.client->Exchange(call);
  REQUIRE(Eventually([&] { return pair.calls.parked() == 1; }));
  pair.client->Cancel(call);
  REQUIRE(call.Wait());
  CHECK(absl::IsCancelled(call.status));
  CHECK(Eventually([&] { return pair.calls.cancelled == 1; }));
  CHECK(pair.calls.parked() == 0);
  pair.client->Cancel(call);
  CHECK(call.finished == 1);
}

TEST_CASE("a call that ends while it is cancelled finishes once") {
  Pair pair;
  int wrong = 0;
  for (int i = 0; i < 300; ++i) {
    TestCall call({1, 2, 3});
    pair.client->Exchange(call);
    pair.client->Cancel(call);
    wrong += !call.Wait() || call.finished != 1 ||
             !(call.status.ok() || absl::IsCancelled(call.status));
  }
  CHECK(wrong == 0);
}

TEST_CASE("a client that goes away cancels what it has in flight") {
  Pair pair;
  TestCall call({1});
  call.request.set_rounds(1);
  pair.client->Exchange(call);
  REQUIRE(Eventually([&] { return pair.calls.parked() == 1; }));
  pair.client.reset();
  CHECK(absl::IsCancelled(call.status));
  CHECK(Eventually([&] { return pair.calls.parked() == 0; }));
}

TEST_CASE("the last channel of a process may close right after an answer") {
  for (int i = 0; i < 100; ++i) {
    Pair pair;
    TestCall call({1});
    pair.client->Exchange(call);
    if (i > 0) pair.server.reset();  // before the client
    pair.client.reset();
    REQUIRE(call.Wait());
  }
}

TEST_CASE("a server that shuts down ends its parked calls in bounded time") {
  Pair pair;
  TestCall call({1});
  call.request.set_rounds(1);
  pair.client->Exchange(call);
  REQUIRE(Eventually([&] { return pair.calls.parked() == 1; }));
  const absl::Time start = RealClock().Now();
  pair.server->Shutdown();
  pair.server->Shutdown();
  CHECK(RealClock().Now() - start < absl::Seconds(5));
  REQUIRE(call.Wait());
  CHECK_FALSE(call.status.ok());
  CHECK(pair.calls.parked() == 0);

  pb::JobStatus status;
  const absl::Status gone = pair.client->GetJob({}, status);
  CHECK(absl::IsUnavailable(gone));
  CHECK_THAT(std::string(gone.message()), Catch::Contains(pair.address));
  TestCall late({1});
  pair.client->Exchange(late);
  REQUIRE(late.Wait());
  CHECK(absl::IsUnavailable(late.status));
}

TEST_CASE("a client reaches a server that starts later, and again") {
  FakeCalls calls;
  int port = 0;
  {
    const auto first = GrpcServer::Start(calls, "127.0.0.1:0");
    REQUIRE(first.ok());
    port = (*first)->port();
  }
  const std::string address = absl::StrCat("127.0.0.1:", port);
  const auto client = *GrpcClient::Create(address, RealClock());
  CHECK_FALSE(client->WaitConnected(In(absl::Milliseconds(200))).ok());
  const auto server = GrpcServer::Start(calls, address);
  REQUIRE(server.ok());
  CHECK(client->WaitConnected(In(absl::Seconds(10))).ok());
  CHECK(client->WaitConnected(In(absl::Seconds(10))).ok());
}

TEST_CASE("an address that nobody serves is an error within the timeout") {
  for (const char* address :
       {"127.0.0.1:1", "no-such-host.invalid:7001", "192.0.2.1:7001"}) {
    INFO(address);
    const auto client = *GrpcClient::Create(address, RealClock());
    const absl::Time start = RealClock().Now();
    const absl::Status status =
        client->WaitConnected(start + absl::Milliseconds(500));
    CHECK(RealClock().Now() - start < absl::Seconds(3));
    CHECK(absl::IsUnavailable(status));
    // The time that it took: on a busy machine more than the 0.5 s.
    CHECK_THAT(std::string(status.message()),
               Catch::Contains(address) &&
                   Catch::Matches(".* within [0-2]\\.[0-9] s; .*"));
  }
}

TEST_CASE("who waits for a server may give up before the deadline") {
  // Refused at once, and nobody there.
  for (const char* address : {"127.0.0.1:1", "192.0.2.1:7001"}) {
    INFO(address);
    const auto client = *GrpcClient::Create(address, RealClock());
    const absl::Time start = RealClock().Now();
    const absl::Status status =
        client->WaitConnected(start + absl::Seconds(20), [start] {
          return RealClock().Now() - start > absl::Milliseconds(100);
        });
    CHECK(RealClock().Now() - start < absl::Seconds(2));
    CHECK(absl::IsCancelled(status));
    CHECK_THAT(std::string(status.message()), Catch::Contains(address));
  }
}

TEST_CASE("a bad address is refused by both sides") {
  FakeCalls calls;
  CHECK(
      absl::IsInvalidArgument(GrpcServer::Start(calls, "localhost").status()));
  CHECK(absl::IsInvalidArgument(
      GrpcClient::Create("localhost", RealClock()).status()));
  CHECK(absl::IsInvalidArgument(
      GrpcClient::Create("localhost:0", RealClock()).status()));
  // TEST-NET-1 of RFC 5737: no machine has it.
  const absl::Status foreign = GrpcServer::Start(calls, "192.0.2.1:0").status();
  CHECK(absl::IsUnavailable(foreign));
}

TEST_CASE("a taken port is an error that names it and says what to do") {
  Pair pair;
  FakeCalls calls;
  const absl::Time start = RealClock().Now();
  const absl::Status status = GrpcServer::Start(calls, pair.address).status();
  CHECK(RealClock().Now() - start < absl::Seconds(1));
  CHECK(absl::IsUnavailable(status));
  CHECK_THAT(std::string(status.message()), Catch::Contains(pair.address) &&
                                                Catch::Contains("ss -ltnp") &&
                                                Catch::Contains("--listen"));
}

TEST_CASE("IPv6 addresses work where the machine has them") {
  if (HasIpv6Loopback()) {
    Pair pair("[::1]");
    TestCall call({1, 2});
    pair.client->Exchange(call);
    REQUIRE(call.Wait());
    CHECK(call.received == call.sent);
  } else {
    WARN("this machine has no ::1; checking the error instead");
    FakeCalls calls;
    CHECK(absl::IsUnavailable(GrpcServer::Start(calls, "[::1]:0").status()));
  }
}

TEST_CASE("names work where the machine has them") {
  addrinfo* found = nullptr;
  if (getaddrinfo("localhost", nullptr, nullptr, &found) == 0) {
    freeaddrinfo(found);
    Pair pair("localhost");
    pb::JobStatus status;
    CHECK(pair.client->GetJob({}, status).ok());
  } else {
    WARN("this machine does not know localhost; checking the error instead");
    FakeCalls calls;
    const absl::Status status =
        GrpcServer::Start(calls, "localhost:0").status();
    CHECK(absl::IsUnavailable(status));
    CHECK_THAT(std::string(status.message()), Catch::Contains("localhost"));
  }
}

TEST_CASE("bytes that are no message are refused, and the server goes on") {
  Pair pair;
  for (const std::string& bytes :
       {std::string("garbage"), std::string(100'000, '\xff'),
        std::string("\xa2\x06\xff\xff\xff\xff\x07"),
        EncodeHead(pb::ExchangeRequest(), 8) + "1234"}) {
    CHECK(absl::IsInvalidArgument(SendBytes(pair.address, bytes)));
  }
  CHECK(pair.calls.exchanges == 0);
  CHECK(SendBytes(pair.address, "").ok());
  CHECK(pair.calls.exchanges == 1);
}

TEST_CASE("many clients at once each get their own answers") {
  Pair pair;
  std::vector<std::unique_ptr<GrpcClient>> clients;
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int c = 0; c < 8; ++c) {
    clients.push_back(*GrpcClient::Create(pair.address, RealClock()));
    REQUIRE(clients.back()->WaitConnected(In(absl::Seconds(10))).ok());
    for (int i = 0; i < 20; ++i) {
      calls.push_back(std::make_unique<TestCall>(
          std::vector<float>(20'000, static_cast<float>(c * 100 + i))));
    }
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    clients[i / 20]->Exchange(*calls[i]);
  }
  int wrong = 0;
  for (const auto& call : calls) {
    wrong +=
        !call->Wait() || !call->status.ok() || call->received != call->sent;
  }
  CHECK(wrong == 0);
}
