// SPDX-License-Identifier: Apache-2.0
#include "worker/overlap_link.h"

#include <catch2/catch.hpp>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/serial.h"
#include "server/server.h"
#include "trainers/optimizer.h"
#include "transport/forwarding.h"

namespace monsoon {
namespace {

using Catch::Contains;

constexpr uint64_t kJob = 7;
constexpr int64_t kFloats = 3;
constexpr int kWorkers = 2;
using Values = std::vector<float>;

// Holds the exchanges back while it is closed.
class Gate final : public ForwardingCalls {
 public:
  explicit Gate(ServerCalls& next)
      : ForwardingCalls(next), open_(RealClock().NewEvent()) {
    open_->Set();
  }
  void Exchange(ExchangeCall& call) override {
    open_->Wait(absl::InfiniteFuture());
    ForwardingCalls::Exchange(call);
  }
  void Close() { open_->Reset(); }
  void Open() { open_->Set(); }

 private:
  std::unique_ptr<Event> open_;
};

// Two workers of `downpour` (delta form: the center is the sum of what was
// pushed) on a server with two shards; the center begins at 0.
struct OverlappedJob {
  OverlappedJob() : server(RealClock()), gate(server) {
    pb::JobSpec spec;
    spec.set_trainer("downpour");
    (*spec.mutable_hyper())["form"] = "delta";
    ParameterLayout layout;
    layout.Add("w", {kFloats}, TensorKind::kWeight);
    LayoutToProto(layout, spec);
    const std::vector<ShardRange> shards = {{0, 2, 0}, {2, kFloats - 2, 0}};
    ShardsToProto(shards, spec);
    spec.set_servers(1);
    spec.set_workers(kWorkers);
    spec.set_samples(1000);
    for (int rank = 0; rank < kWorkers; ++rank) {
      pb::JoinRequest request;
      request.set_job_id(kJob);
      request.set_worker(rank);
      request.set_incarnation(static_cast<uint64_t>(rank) + 100);
      *request.mutable_spec() = spec;
      pb::JoinReply reply;
      REQUIRE(server.Join(request, reply) == absl::OkStatus());
      workers.push_back(std::make_unique<Worker>(
          ShardLink::Config{.servers = {&gate},
                            .shards = shards,
                            .job_id = kJob,
                            .worker = rank,
                            .incarnation = request.incarnation()}));
    }
    REQUIRE(workers[0]->below.Initialize(Flat(kFloats)) == absl::OkStatus());
  }

  struct Worker {
    explicit Worker(const ShardLink::Config& config)
        : optimizer(*MakeOptimizer("sgd", 0.1f)),
          replica(config.worker, kFloats, *optimizer),
          below(config, RealClock()) {
      below.Attach(replica);
      link = std::make_unique<OverlapLink>(below, replica, RealClock());
    }

    // Pushes a step on `value` everywhere; what is handed out.
    float Push(float value) {
      ++replica.step;
      replica.pending = 1;
      replica.pending_samples = 10;
      Flat values(kFloats);
      ForEach([value](float& to) { to = value; }, values);
      REQUIRE(link->PushPull(values, values) == absl::OkStatus());
      CHECK(values[0] == values[kFloats - 1]);
      return values[0];
    }
    // The next exchange that somebody begins comes after this one.
    float PushToTheEnd(float value) {
      const float handed = Push(value);
      REQUIRE(link->Drain() == absl::OkStatus());
      return handed;
    }
    float Pull() {
      Flat center(kFloats);
      REQUIRE(link->Pull(center) == absl::OkStatus());
      return center[0];
    }

    std::unique_ptr<Optimizer> optimizer;
    Replica replica;
    ShardLink below;
    std::unique_ptr<OverlapLink> link;
  };

  Server server;
  Gate gate;
  std::vector<std::unique_ptr<Worker>> workers;
};

using Staleness = std::map<int64_t, int64_t>;

TEST_CASE("An overlapped exchange hands out the center of the one before",
          "[overlap]") {
  OverlappedJob job;
  auto& worker = *job.workers[0];
  CHECK(worker.Pull() == 0);
  CHECK(worker.Push(1) == 0);   // what was pulled; the center becomes 1
  CHECK(worker.Push(10) == 1);  // 11
  CHECK(worker.Push(100) == 11);
  REQUIRE(worker.link->Drain() == absl::OkStatus());
  // Alone, the first push is computed from the newest center, each other one
  // from the center before its own last push.
  CHECK(worker.below.counters().staleness == Staleness{{0, 2}, {1, 4}});
  CHECK(worker.below.counters().pushes == 3);
  CHECK(worker.Pull() == 111);
  // A pull is handed out again: nothing has come since.
  CHECK(worker.Push(1000) == 111);
  CHECK(worker.Pull() == 1111);
  CHECK(worker.below.counters().staleness == Staleness{{0, 4}, {1, 4}});
  // A push alone, of what was computed from what was handed out last.
  CHECK(worker.Push(1) == 1111);  // 1112
  Flat update(kFloats);
  REQUIRE(worker.link->Push(update) == absl::OkStatus());
  CHECK(worker.below.counters().staleness == Staleness{{0, 6}, {1, 6}});
}

TEST_CASE("Overlapped workers report one window more of staleness",
          "[overlap]") {
  OverlappedJob job;
  auto& a = *job.workers[0];
  auto& b = *job.workers[1];
  CHECK(a.Pull() == 0);
  CHECK(b.Pull() == 0);
  CHECK(a.PushToTheEnd(1) == 0);      // version 1: 1
  CHECK(b.PushToTheEnd(10) == 0);     // version 2: 11
  CHECK(a.PushToTheEnd(100) == 1);    // version 3: 111
  CHECK(b.PushToTheEnd(1000) == 11);  // version 4: 1111
  CHECK(a.PushToTheEnd(1e4f) == 111);
  // Of a: from version 0 at 0, from 0 at 2, and from 1 (its first reply, handed
  // out with its second push) at 4. Without overlap: 0, 1, 1.
  CHECK(a.below.counters().staleness == Staleness{{0, 2}, {2, 2}, {3, 2}});
  // Of b: from version 0 at 1, from 0 at 3.
  CHECK(b.below.counters().staleness == Staleness{{1, 2}, {3, 2}});
  pb::JobStatus status;
  REQUIRE(job.server.GetJob({}, status) == absl::OkStatus());
  CHECK(status.samples_applied() == 5 * 10);
}

TEST_CASE("A step goes on while its exchange is under way", "[overlap]") {
  OverlappedJob job;
  auto& worker = *job.workers[0];
  CHECK(worker.Pull() == 0);
  job.gate.Close();
  CHECK(worker.Push(1) == 0);  // comes back, though nothing passes the gate
  // What the next steps do is not what the exchange before counts.
  ++worker.replica.step;
  worker.replica.pending = 99;
  worker.replica.pending_samples = 99;
  job.gate.Open();
  REQUIRE(worker.link->Drain() == absl::OkStatus());
  pb::JobStatus status;
  REQUIRE(job.server.GetJob({}, status) == absl::OkStatus());
  CHECK(status.samples_applied() == 10);
}

TEST_CASE("An exchange that ends badly ends the next call", "[overlap]") {
  OverlappedJob job;
  auto& worker = *job.workers[0];
  CHECK(worker.Pull() == 0);
  Flat update(kFloats), reply(kFloats);
  update[2] = std::numeric_limits<float>::quiet_NaN();
  REQUIRE(worker.link->PushPull(update, reply) == absl::OkStatus());
  const absl::Status met = worker.link->PushPull(update, reply);
  CHECK(absl::IsOutOfRange(met));
  CHECK_THAT(std::string(met.message()),
             Contains("training diverged") &&
                 Contains("value 2 of the update that worker 0 pushed") &&
                 Contains("is nan") && Contains("lower --lr (now 0.1)"));
  CHECK(worker.link->Pull(reply) == met);
  CHECK(worker.link->Push(reply) == met);
  CHECK(worker.link->Drain() == met);
}

TEST_CASE("Memory that is borrowed, or wanted for both, is left where it is",
          "[overlap]") {
  OverlappedJob job;
  auto& worker = *job.workers[0];
  CHECK(worker.Pull() == 0);
  CHECK(worker.PushToTheEnd(5) == 0);
  Values memory = {1, 2, 3};
  Flat borrowed = Flat::View(memory.data(), kFloats);
  REQUIRE(worker.link->PushPull(borrowed, borrowed) == absl::OkStatus());
  CHECK(memory == Values{5, 5, 5});
  Flat update(kFloats), reply(kFloats);
  const float* const place = reply.data();
  REQUIRE(worker.link->PushPull(update, reply) == absl::OkStatus());
  CHECK(reply.data() == place);
  CHECK(reply[0] == 6);
  CHECK(reply[2] == 8);
  CHECK(update[0] == 0);
}

TEST_CASE("An overlapped worker goes on where it was saved", "[overlap]") {
  OverlappedJob job;
  auto& worker = *job.workers[0];
  CHECK(worker.Pull() == 0);
  CHECK(worker.Push(1) == 0);
  CHECK(worker.Push(10) == 1);
  REQUIRE(worker.link->Drain() == absl::OkStatus());
  Writer writer;
  worker.replica.Save(writer);
  worker.below.Save(writer);

  auto& other = *job.workers[1];
  Reader reader(writer.bytes());
  REQUIRE(other.replica.Load(reader) == absl::OkStatus());
  REQUIRE(other.below.Load(reader) == absl::OkStatus());
  CHECK(other.below.counters().staleness == Staleness{{0, 2}, {1, 2}});
  // The server knows nothing of its pushes: only what it hands out is the same.
  Flat values(kFloats);
  REQUIRE(other.link->PushPull(values, values) == absl::OkStatus());
  CHECK(values[0] == 11);
  CHECK(absl::IsFailedPrecondition(other.link->Drain()));
}

}  // namespace
}  // namespace monsoon
