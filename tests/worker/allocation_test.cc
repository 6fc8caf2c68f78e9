// SPDX-License-Identifier: Apache-2.0
// A binary of its own, because it replaces operator new to count.
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/random_id.h"
#include "server/server.h"
#include "tests/worker/counted_pushes.h"
#include "transport/grpc_client.h"
#include "transport/grpc_server.h"
#include "transport/grpc_settings.h"
#include "transport/shm_client.h"
#include "transport/shm_server.h"
#include "worker/shard_link.h"

namespace {

std::atomic<int64_t> allocations{0};

void* Count(size_t size, size_t alignment) {
  ++allocations;
  void* memory = std::aligned_alloc(
      alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(size_t size) { return Count(size, alignof(max_align_t)); }
void* operator new[](size_t size) { return Count(size, alignof(max_align_t)); }
void* operator new(size_t size, std::align_val_t alignment) {
  return Count(size, static_cast<size_t>(alignment));
}
void* operator new[](size_t size, std::align_val_t alignment) {
  return Count(size, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace monsoon {
namespace {

const bool kPrepared = (PrepareGrpc(), true);

constexpr uint64_t kJobId = 7;
constexpr int kExchanges = 200;
const CountedJob kJob = {.workers = 1, .shards = 6, .shard_floats = 1000};

// Allocations of both sides together while `calls` carries exchanges.
int64_t OfExchanges(ServerCalls& calls) {
  pb::JoinReply joined;
  REQUIRE(calls.Join(kJob.JoinAs(0, 0, kJobId, 1), joined) == absl::OkStatus());
  ShardLink link({.servers = {&calls},
                  .shards = kJob.Shards(),
                  .job_id = kJobId,
                  .worker = 0,
                  .incarnation = 1},
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

TEST_CASE("The counter counts", "[worker]") {
  const int64_t before = allocations;
  Flat flat(1000);
  CHECK(allocations > before);
}

TEST_CASE("An exchange within a process allocates nothing", "[worker]") {
  Server server(RealClock());
  CHECK(OfExchanges(server) == 0);
}

TEST_CASE("An exchange through shared memory allocates nothing", "[worker]") {
  const std::string name = absl::StrCat("monsoon-test/", RandomId());
  Server server(RealClock(), {.local_socket = name});
  const auto carrier = ShmServer::Start(server, name, RealClock());
  REQUIRE(carrier.ok());
  ShmClient client(server, /*is_required=*/true);
  CHECK(OfExchanges(client) == 0);
}

}  // namespace
}  // namespace monsoon
