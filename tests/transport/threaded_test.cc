// SPDX-License-Identifier: Apache-2.0
#include "transport/threaded.h"

#include <catch2/catch.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "tests/transport/fake_calls.h"
#include "transport/forwarding.h"

namespace monsoon {
namespace {

// A server that works on a call until it is told to go on.
class SlowCalls final : public ForwardingCalls {
 public:
  explicit SlowCalls(FakeCalls& next) : ForwardingCalls(next) {}
  void Exchange(ExchangeCall& call) override {
    ++begun;
    go_on->Wait(absl::InfiniteFuture());
    {
      const absl::MutexLock lock(&mu);
      order.push_back(call.request.shard());
    }
    next_.Exchange(call);
  }

  std::atomic<int> begun = 0;
  absl::Mutex mu;
  std::vector<int> order;  // of the calls' shards
  const std::unique_ptr<Event> go_on = RealClock().NewEvent();
};

TEST_CASE("A thread begins calls in the order in which they came",
          "[transport]") {
  FakeCalls fake;
  SlowCalls server(fake);
  ThreadedCalls threads(server, 1, RealClock());
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 5; ++i) {
    calls.push_back(std::make_unique<TestCall>(std::vector<float>{1}));
    calls.back()->request.set_shard(i);
    threads.Exchange(*calls.back());
  }
  server.go_on->Set();
  for (const auto& call : calls) REQUIRE(call->Wait());
  CHECK(server.order == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("Threads work on as many calls at once", "[transport]") {
  FakeCalls fake;
  SlowCalls server(fake);
  ThreadedCalls threads(server, 2, RealClock());
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 5; ++i) {
    calls.push_back(std::make_unique<TestCall>(std::vector<float>{1, 2, 3}));
    threads.Exchange(*calls.back());  // at once, though nobody goes on
  }
  CHECK(Eventually([&] { return server.begun == 2; }));
  CHECK(calls[0]->finished + calls[1]->finished == 0);
  server.go_on->Set();
  for (const auto& call : calls) {
    REQUIRE(call->Wait());
    CHECK(call->status.ok());
    CHECK(call->received == call->sent);
    CHECK(call->finished == 1);
  }
  CHECK(server.begun == 5);
}

TEST_CASE("A cancelled call ends, wherever it is", "[transport]") {
  FakeCalls fake;
  SlowCalls server(fake);
  ThreadedCalls threads(server, 1, RealClock());
  TestCall parked({1}), waiting({2}), late({3});
  parked.request.set_rounds(1);
  threads.Exchange(parked);
  threads.Exchange(waiting);
  REQUIRE(Eventually([&] { return server.begun == 1; }));
  // Nobody has begun it.
  threads.Cancel(waiting);
  REQUIRE(waiting.Wait());
  CHECK(absl::IsCancelled(waiting.status));
  // The server is about to park it.
  std::thread canceller([&] { threads.Cancel(parked); });
  CHECK(!parked.Wait(absl::Milliseconds(50)));
  server.go_on->Set();
  canceller.join();
  REQUIRE(parked.Wait());
  CHECK(absl::IsCancelled(parked.status));
  CHECK(fake.cancelled == 1);
  // It has parked it.
  late.request.set_rounds(1);
  threads.Exchange(late);
  REQUIRE(Eventually([&] { return fake.parked() == 1; }));
  threads.Cancel(late);
  REQUIRE(late.Wait());
  CHECK(absl::IsCancelled(late.status));
  for (const TestCall* call : {&parked, &waiting, &late}) {
    CHECK(call->finished == 1);
  }
}

TEST_CASE("Calls of many threads are each answered once", "[transport]") {
  FakeCalls server;
  ThreadedCalls threads(server, 3, RealClock());
  std::vector<std::thread> callers;
  std::atomic<int> answered = 0;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        TestCall call({float(i), 1});
        call.request.set_rounds(i % 3 == 0 ? 1 : 0);
        threads.Exchange(call);
        if (i % 3 == 0) threads.Cancel(call);
        if (call.Wait() && call.finished == 1) ++answered;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(answered == 4 * 500);
}

}  // namespace
}  // namespace monsoon
