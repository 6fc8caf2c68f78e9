// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/random_id.h"
#include "proto/wire.h"
#include "tests/transport/fake_calls.h"
#include "transport/local_socket.h"
#include "transport/shm_client.h"
#include "transport/shm_packet.h"
#include "transport/shm_server.h"

using namespace monsoon;

namespace {

constexpr size_t kFloats = 1000;  // of the largest shard

std::vector<float> Numbers(size_t size) {
  std::vector<float> numbers(size);
  std::iota(numbers.begin(), numbers.end(), 0.5f);
  return numbers;
}

std::string NewName() { return absl::StrCat("monsoon-test/", RandomId()); }

pb::JoinRequest JoinWith(size_t floats) {
  pb::JoinRequest request;
  pb::Shard& other = *request.mutable_spec()->add_shards();
  other.set_size(1 << 20);
  other.set_server(1);  // of no concern to this server
  request.mutable_spec()->add_shards()->set_size(static_cast<int64_t>(floats));
  return request;
}

// A server and a client of it that share memory; what goes by the way behind
// them comes to `control`.
struct Pair {
  explicit Pair(size_t floats = kFloats) {
    auto started = ShmServer::Start(calls, NewName(), RealClock());
    REQUIRE(started.ok());
    server = *std::move(started);
    control.local_socket = server->name();
    client = std::make_unique<ShmClient>(control, /*is_required=*/true);
    pb::JoinReply reply;
    REQUIRE(client->Join(JoinWith(floats), reply).ok());
    REQUIRE(client->shares_memory());
  }
  FakeCalls calls, control;
  std::unique_ptr<ShmServer> server;
  std::unique_ptr<ShmClient> client;
};

// A worker that says what it likes.
struct Raw {
  explicit Raw(const std::string& name) : socket(*ConnectLocal(name)) {
    SetReceiveTimeout(socket, 5);
  }
  bool Say(const shm::Head& head, const std::string& body = "") {
    return SendPacket(socket, shm::Packet(head, body));
  }
  // Nothing once the server has ended the connection.
  std::string Hear(Descriptor* passed = nullptr) {
    return std::string(ReceivePacket(socket, absl::MakeSpan(buffer), passed));
  }
  bool Hello() {
    Descriptor passed;
    return Say({.kind = shm::Head::kHello, .size = kFloats * 4}) &&
           !Hear(&passed).empty() && passed.open();
  }
  Descriptor socket;
  std::array<char, kMaxPacketBytes> buffer;
};

// A good exchange, after whatever was done to the server.
void CheckServes(Pair& pair) {
  TestCall call(Numbers(7));
  pair.client->Exchange(call);
  REQUIRE(call.Wait());
  CHECK(call.status.ok());
  CHECK(call.received == call.sent);
}

}  // namespace

TEST_CASE("exchanges through shared memory come back as they went") {
  Pair pair(kMaxPayloadBytes / 4);
  for (size_t size : {size_t{1}, size_t{5}, size_t{1000}, size_t{1'000'000},
                      kMaxPayloadBytes / 4}) {
    INFO(size);
    TestCall call(Numbers(size));
    call.request.set_sequence(size);
    pair.client->Exchange(call);
    REQUIRE(call.Wait());
    REQUIRE(call.status.ok());
    CHECK((call.received == call.sent));
    CHECK(call.reply.version() == static_cast<int64_t>(size));
  }
  TestCall pull;
  pull.request.set_kind(pb::ExchangeRequest::PULL);
  pull.request.set_local_steps(3);
  pair.client->Exchange(pull);
  REQUIRE(pull.Wait());
  CHECK(pull.received == std::vector<float>{1, 1, 1});
  CHECK(pair.calls.misaligned == 0);
  CHECK(pair.control.exchanges == 0);
}

TEST_CASE("more exchanges than slots wait their turn") {
  Pair pair;
  std::vector<std::unique_ptr<TestCall>> calls;
  for (size_t i = 1; i <= 50; ++i) {
    calls.push_back(std::make_unique<TestCall>(Numbers(i)));
    pair.client->Exchange(*calls.back());
  }
  for (auto& call : calls) {
    REQUIRE(call->Wait());
    CHECK(call->status.ok());
    CHECK(call->received == call->sent);
  }
}

TEST_CASE("several workers share memory with one server") {
  FakeCalls calls, control;
  const auto server = *ShmServer::Start(calls, NewName(), RealClock());
  control.local_socket = server->name();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int worker = 0; worker < 4; ++worker) {
    threads.emplace_back([&, worker] {
      ShmClient client(control, true);
      pb::JoinReply reply;
      if (!client.Join(JoinWith(kFloats), reply).ok()) ++wrong;
      for (int i = 0; i < 200; ++i) {
        TestCall call(
            std::vector<float>(100, static_cast<float>(1000 * worker + i)));
        client.Exchange(call);
        if (!call.Wait() || call.received != call.sent) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("a cancelled exchange ends at once, and its slot serves again") {
  Pair pair;
  for (int i = 0; i < 10; ++i) {
    TestCall parked({1}), next({2});
    parked.request.set_rounds(1);
    pair.client->Exchange(parked);
    REQUIRE(Eventually([&] { return pair.calls.parked() == 1; }));
    pair.client->Cancel(parked);
    CHECK(absl::IsCancelled(parked.status));
    CHECK(Eventually([&] { return pair.calls.parked() == 0; }));
    CheckServes(pair);
  }
  CHECK(pair.calls.cancelled == 10);
}

TEST_CASE("an exchange that waits for a slot may be cancelled, too") {
  Pair pair;
  std::vector<std::unique_ptr<TestCall>> parked;
  for (uint32_t i = 0; i < shm::kSlots; ++i) {
    parked.push_back(std::make_unique<TestCall>(std::vector<float>{1}));
    parked.back()->request.set_rounds(1);
    pair.client->Exchange(*parked.back());
  }
  TestCall waits({3});
  pair.client->Exchange(waits);
  pair.client->Cancel(waits);
  CHECK(absl::IsCancelled(waits.status));
  REQUIRE(Eventually([&] { return pair.calls.parked() == shm::kSlots; }));
  pair.calls.AnswerParked();
  for (auto& call : parked) {
    REQUIRE(call->Wait());
    CHECK(call->status.ok());
  }
  CheckServes(pair);
}

TEST_CASE("a call through shared memory that ends while cancelled ends once") {
  Pair pair;
  int wrong = 0;
  for (int i = 0; i < 1000; ++i) {
    TestCall call({1, 2, 3});
    pair.client->Exchange(call);
    pair.client->Cancel(call);
    wrong += !call.Wait() || call.finished != 1 ||
             !(call.status.ok() || absl::IsCancelled(call.status));
  }
  CHECK(wrong == 0);
}

TEST_CASE("who goes away cancels what it has in flight in shared memory") {
  Pair pair;
  TestCall call({1});
  call.request.set_rounds(1);
  pair.client->Exchange(call);
  REQUIRE(Eventually([&] { return pair.calls.parked() == 1; }));
  pair.client.reset();
  CHECK(absl::IsUnavailable(call.status));
  CHECK(Eventually([&] { return pair.calls.parked() == 0; }));
}

TEST_CASE("a server that goes away ends exchanges; the next go the other way") {
  Pair pair;
  TestCall call({1});
  call.request.set_rounds(1);
  pair.client->Exchange(call);
  REQUIRE(Eventually([&] { return pair.calls.parked() == 1; }));
  pair.server.reset();
  REQUIRE(call.Wait());
  CHECK_FALSE(call.status.ok());
  CHECK(Eventually([&] { return !pair.client->shares_memory(); }));
  TestCall next({4});
  pair.client->Exchange(next);
  REQUIRE(next.Wait());
  CHECK(next.status.ok());
  CHECK(pair.control.exchanges == 1);
}

TEST_CASE("a worker that is killed leaves nothing behind") {
  Pair pair;
  const pid_t child = ::fork();
  if (child == 0) {
    Raw raw(pair.server->name());
    pb::ExchangeRequest request;
    request.set_rounds(1);
    raw.Hello();
    raw.Say({.kind = shm::Head::kCall, .slot = 2, .size = 5},
            request.SerializeAsString());
    ::pause();
  }
  REQUIRE(Eventually([&] { return pair.calls.parked() == 1; }));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(Eventually([&] { return pair.calls.parked() == 0; }));
  CheckServes(pair);
}

TEST_CASE("what makes no sense ends its own connection alone") {
  Pair pair;
  using Head = shm::Head;
  const pb::ExchangeRequest request;
  SECTION("no hello") {
    Raw raw(pair.server->name());
    CHECK(raw.Say({.kind = Head::kCall}));
    CHECK(raw.Hear().empty());
  }
  SECTION("a hello for no memory, too much, or part of a float") {
    for (uint32_t size : {0u, uint32_t{kMaxPayloadBytes} + 4, 6u}) {
      Raw raw(pair.server->name());
      CHECK(raw.Say({.kind = Head::kHello, .size = size}));
      CHECK(raw.Hear().empty());
    }
  }
  SECTION("calls") {
    const std::string good = request.SerializeAsString();
    const std::pair<Head, std::string> calls[] = {
        {{.kind = Head::kCall, .slot = shm::kSlots}, good},
        {{.kind = Head::kCall, .slot = 0, .size = 4 * kFloats + 1}, good},
        {{.kind = Head::kCall, .slot = 0, .size = ~0u}, good},
        {{.kind = Head::kCall, .slot = 0, .size = 4}, "\xff\xff"},
        {{.kind = Head::kReply, .slot = 0}, good},
        {{.kind = Head::kCancel, .slot = ~0u}, ""},
        {{.kind = Head::kHello, .size = 4}, ""}};
    for (const auto& [head, body] : calls) {
      Raw raw(pair.server->name());
      REQUIRE(raw.Hello());
      CHECK(raw.Say(head, body));
      CHECK(raw.Hear().empty());
    }
  }
  SECTION("a slot that is taken") {
    pb::ExchangeRequest parks;
    parks.set_rounds(1);
    Raw raw(pair.server->name());
    REQUIRE(raw.Hello());
    for (int i = 0; i < 2; ++i) {
      CHECK(raw.Say({.kind = Head::kCall, .slot = 1, .size = 1},
                    parks.SerializeAsString()));
    }
    while (!raw.Hear().empty()) {
    }
    CHECK(Eventually([&] { return pair.calls.parked() == 0; }));
  }
  SECTION("a packet that is no packet, or too long") {
    for (const size_t size :
         {size_t{1}, sizeof(Head) - 1, kMaxPacketBytes + 1}) {
      Raw raw(pair.server->name());
      REQUIRE(raw.Hello());
      CHECK(SendPacket(raw.socket, std::string(size, '\1')));
      CHECK(raw.Hear().empty());
    }
  }
  CheckServes(pair);
}

// The padding of a control message has room for a second descriptor.
bool SendWithTwoFiles(const Descriptor& socket, std::string packet) {
  iovec part = {packet.data(), packet.size()};
  const int files[] = {socket.get(), socket.get()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof files)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof files);
  std::memcpy(CMSG_DATA(header), files, sizeof files);
  return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL) > 0;
}

int OpenFiles() {
  int count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/self/fd")) {
    count += entry.path().empty() ? 0 : 1;
  }
  return count;
}

TEST_CASE("files that come along with a packet are not kept") {
  Pair pair;
  Raw raw(pair.server->name());
  REQUIRE(raw.Hello());
  const int before = OpenFiles();
  const std::string packet(
      absl::string_view(shm::Packet({.kind = shm::Head::kCancel})));
  for (int i = 0; i < 50; ++i) {
    CHECK(SendPacket(raw.socket, packet, raw.socket.get()));
    CHECK(SendWithTwoFiles(raw.socket, packet));
  }
  // It has read them all.
  pb::ExchangeRequest request;
  REQUIRE(raw.Say({.kind = shm::Head::kCall, .size = 1},
                  request.SerializeAsString()));
  CHECK_FALSE(raw.Hear().empty());
  CHECK(OpenFiles() == before);
}

TEST_CASE("a name that no socket has is refused") {
  CHECK(absl::IsInvalidArgument(ConnectLocal(std::string(107, 'x')).status()));
  CHECK(absl::IsNotFound(ConnectLocal(std::string(106, 'x')).status()));
}

TEST_CASE("a worker that reads no answers costs the others nothing") {
  Pair pair;
  Raw raw(pair.server->name());
  REQUIRE(raw.Hello());
  pb::ExchangeRequest request;
  const std::string body = request.SerializeAsString();
  // Until the server has had enough of it.
  bool sent = true;
  for (int i = 0; i < 1'000'000 && sent; ++i) {
    sent = raw.Say({.kind = shm::Head::kCall, .slot = 0, .size = 1}, body);
    if (i % 100 == 0) CheckServes(pair);
  }
  CHECK_FALSE(sent);
  CheckServes(pair);
}

TEST_CASE("shared memory has the size that both know, for good") {
  auto memory = SharedMemory::Create(8192);
  REQUIRE(memory.ok());
  const int number = memory->descriptor().get();
  CHECK(::ftruncate(number, 4096) != 0);
  CHECK(::ftruncate(number, 16384) != 0);
  const auto map = [&](int from, size_t bytes) {
    return SharedMemory::Map(Descriptor(::dup(from)), bytes).status();
  };
  CHECK(map(number, 8192).ok());
  CHECK(absl::IsInvalidArgument(map(number, 4096)));
  const Descriptor unsealed(::memfd_create("test", MFD_CLOEXEC));
  REQUIRE(::ftruncate(unsealed.get(), 8192) == 0);
  CHECK(absl::IsInvalidArgument(map(unsealed.get(), 8192)));
  CHECK(absl::IsInvalidArgument(map(-1, 8192)));
}

TEST_CASE("a server on another host is reached the other way") {
  FakeCalls control;
  control.local_socket = NewName();  // nobody listens there
  pb::JoinReply reply;
  ShmClient client(control, /*is_required=*/false);
  CHECK(client.Join(JoinWith(kFloats), reply).ok());
  CHECK_FALSE(client.shares_memory());
  TestCall call({1});
  client.Exchange(call);
  REQUIRE(call.Wait());
  CHECK(control.exchanges == 1);
  pb::JobStatus status;
  CHECK(client.GetJob({}, status).ok());
  CHECK(status.job_id() == 42);

  ShmClient strict(control, /*is_required=*/true);
  const absl::Status refused = strict.Join(JoinWith(kFloats), reply);
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK_THAT(std::string(refused.message()),
             Catch::Contains("--transport shm") &&
                 Catch::Contains(control.local_socket) &&
                 Catch::Contains("--transport auto"));
}
