// SPDX-License-Identifier: Apache-2.0
// Servers whose GPU fails them, and how often they wait for one.
#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "cuda/cuda.h"
#include "cuda/cuda_queue.h"
#include "server/hosted_shard.h"
#include "tests/cuda/device_call.h"
#include "tests/cuda/emulator/emulator.h"
#include "tests/server/running_job.h"

namespace monsoon {
namespace {

using Catch::Contains;
using Request = pb::ExchangeRequest;

ServerOptions OnGpu() {
  ServerOptions options;
  options.open_device = [] { return MakeCudaQueue(0); };
  return options;
}

TEST_CASE("A job that does not fit on the GPU is refused", "[cuda]") {
  emulator::SetMemory(size_t{3} << 20);
  {
    Server server(RealClock(), OnGpu());
    pb::JobSpec spec = DeltaJob(1);
    spec.mutable_tensors(0)->set_shape(0, 1 << 20);
    spec.mutable_shards(0)->set_size(1 << 20);
    const absl::Status large = TryJoin(server, JoinAs(0, spec));
    CHECK(absl::IsResourceExhausted(large));
    CHECK_THAT(std::string(large.message()),
               Contains("the memory of shard 0 (--server-device): cuda:0 ") &&
                   Contains("asked for 4.0 MiB, 3.0 MiB are free"));
    // Nothing of it is kept.
    CHECK(TryJoin(server, JoinAs(0, DeltaJob(1))).ok());
  }
  emulator::Reset();
}

TEST_CASE("A job is refused at once where the GPU is not there", "[cuda]") {
  emulator::SetDevices(0);
  {
    Server server(RealClock(), OnGpu());
    const absl::Status none = TryJoin(server, JoinAs(0, DeltaJob(1)));
    CHECK(none.code() == absl::StatusCode::kInternal);
    CHECK_THAT(std::string(none.message()), Contains("no GPU is found"));
  }
  emulator::Reset();
}

TEST_CASE("A GPU that is lost ends all calls of its shard, now and later",
          "[cuda]") {
  JobFacts facts;
  facts.workers = 2;
  const MadeTrainer made = *MakeTrainer("sync", {}, facts);
  {
    const auto queue = *MakeCudaQueue(0);
    HostedShard shard(4, Flat(3, *queue), 0, RulesOf(*made.trainer));
    shard.SetLive({0, 1});
    RecordedCall init(Request::INITIALIZE, 7, 0, {1, 2, 3});
    init.request.set_shard(4);
    shard.Exchange(init);
    REQUIRE(*init.status == absl::OkStatus());
    RecordedCall waits(Request::PUSH_PULL, 7, 0, {1, 1, 1}, 1);
    waits.request.set_rounds(1);
    shard.Exchange(waits);
    CHECK_FALSE(waits.finished());

    emulator::Lose(0);
    RecordedCall push(Request::PUSH_PULL, 7, 1, {1, 1, 1}, 1);
    RecordedCall pull(Request::PULL, 7, -1), again(Request::PULL, 7, 1);
    RecordedCall late(Request::PUSH, 7, 1, {1, 1, 1}, 1);
    shard.Exchange(pull);
    CHECK(waits.finished());  // nobody could ever answer it
    for (RecordedCall* call : {&push, &again, &late}) shard.Exchange(*call);
    for (RecordedCall* call : {&waits, &push, &pull, &again, &late}) {
      REQUIRE(call->finishes == 1);
      // A worker would repeat UNAVAILABLE.
      CHECK(call->status->code() == absl::StatusCode::kInternal);
      CHECK_THAT(std::string(call->status->message()),
                 Contains("the memory of shard 4 (--server-device): cuda:0 ") &&
                     Contains("uncorrectable"));
    }
    shard.SetLive({0});
    shard.Stop(absl::AbortedError("over"));
  }
  emulator::Reset();
}

TEST_CASE("A GPU whose memory ends while it trains says what was asked",
          "[cuda]") {
  // The center and what was pushed fit beside what the queue needs, the rule's
  // vectors do not.
  constexpr int64_t kFloats = 3 << 20;
  emulator::SetMemory(2 * kFloats * sizeof(float) + CudaQueue::kPartsBytes);
  const MadeTrainer made = *MakeTrainer(
      "downpour", {{"form", "gradient"}, {"server_optimizer", "adam"}}, {});
  {
    const auto queue = *MakeCudaQueue(0);
    HostedShard shard(0, Flat(kFloats, *queue), 0, RulesOf(*made.trainer));
    const std::vector<float> values(kFloats, 0.5f);
    RecordedCall init(Request::INITIALIZE, 7, 0, values);
    shard.Exchange(init);
    REQUIRE(*init.status == absl::OkStatus());
    RecordedCall push(Request::PUSH_PULL, 7, 0, values, 1);
    shard.Exchange(push);
    REQUIRE(push.finishes == 1);
    CHECK(absl::IsResourceExhausted(*push.status));
    CHECK_THAT(std::string(push.status->message()),
               Contains("asked for 12 MiB, 0 KiB are free"));
  }
  emulator::Reset();
}

TEST_CASE("A shard waits for its GPU once for all calls that become ready",
          "[cuda]") {
  const MadeTrainer made = *MakeTrainer("downpour", {{"form", "delta"}}, {});
  const auto waits_with = [&made](int parked) {
    const auto queue = *MakeCudaQueue(0);
    HostedShard shard(0, Flat(3, *queue), 0, RulesOf(*made.trainer));
    RecordedCall init(Request::INITIALIZE, 7, 0, {1, 2, 3});
    shard.Exchange(init);
    std::vector<std::unique_ptr<RecordedCall>> calls;
    for (int worker = 1; worker <= parked; ++worker) {
      calls.push_back(std::make_unique<RecordedCall>(Request::PULL, 7, worker));
      calls.back()->request.set_rounds(1);
      shard.Exchange(*calls.back());
    }
    const int before = emulator::counters().waits;
    RecordedCall push(Request::PUSH, 7, 0, {1, 1, 1}, 1);
    shard.Exchange(push);
    const int waits = emulator::counters().waits - before;
    for (const auto& call : calls) {
      CHECK(call->reply_values == std::vector<float>{2, 3, 4});
    }
    return waits;
  };
  CHECK(waits_with(5) == waits_with(0));
}

}  // namespace
}  // namespace monsoon
