// SPDX-License-Identifier: Apache-2.0
//
// What workers cost a real server process, and each other.
#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "tests/transport/fake_calls.h"
#include "tests/transport/tcp_proxy.h"
#include "tests/worker/acknowledged_calls.h"
#include "tests/worker/counted_pushes.h"
#include "tests/worker/server_process.h"
#include "transport/grpc_client.h"
#include "transport/grpc_settings.h"
#include "transport/shm_client.h"
#include "worker/shard_link.h"

namespace monsoon {
namespace {

const bool kPrepared = (PrepareGrpc(), true);

constexpr uint64_t kJobId = 7;
constexpr int64_t kMiB = 1 << 20;

// docs/performance.md, "Memory of a server", where no slot is kept.
int64_t MostServerBytes(const CountedJob& job, bool shares_memory) {
  const int64_t shard = job.shard_floats * int64_t{sizeof(float)};
  const int64_t worker =
      shares_memory ? 8 * shard + kMiB : 24 * shard + 4 * kMiB;
  return 64 * kMiB + job.shards * shard + job.workers * worker;
}

// A worker of a job, on a connection of its own.
class Worker {
 public:
  Worker(const CountedJob& job, int rank, int port, bool shares_memory)
      : job_(job), rank_(rank), progress_(static_cast<size_t>(job.shards)) {
    client_ =
        *GrpcClient::Create(absl::StrCat("127.0.0.1:", port), RealClock());
    ServerCalls* carrier = client_.get();
    if (shares_memory) {
      shared_ = std::make_unique<ShmClient>(*client_, /*is_required=*/true);
      carrier = shared_.get();
    }
    noted_ = std::make_unique<AcknowledgedCalls>(*carrier,
                                                 absl::MakeSpan(progress_));
    link_ = std::make_unique<ShardLink>(
        ShardLink::Config{.servers = {noted_.get()},
                          .shards = job.Shards(),
                          .job_id = kJobId,
                          .worker = rank,
                          .incarnation = Incarnation()},
        RealClock());
  }

  absl::Status Join() {
    pb::JoinReply reply;
    return noted_->Join(job_.JoinAs(rank_, 0, kJobId, Incarnation()), reply);
  }
  ShardLink& link() { return *link_; }
  GrpcClient& client() { return *client_; }
  uint64_t Incarnation() const { return static_cast<uint64_t>(rank_) + 1; }
  int failures() const { return noted_->failures(); }

 private:
  const CountedJob job_;
  const int rank_;
  std::vector<PushProgress> progress_;
  std::unique_ptr<GrpcClient> client_;
  std::unique_ptr<ShmClient> shared_;
  std::unique_ptr<AcknowledgedCalls> noted_;
  std::unique_ptr<ShardLink> link_;
};

// Exchanges a second.
double Rate(Worker& worker, const Flat& update, Flat& reply) {
  const absl::Time begin = RealClock().Now();
  int exchanges = 0;
  absl::Duration elapsed;
  do {
    if (!worker.link().PushPull(update, reply).ok()) return 0;
    ++exchanges;
    elapsed = RealClock().Now() - begin;
  } while (elapsed < absl::Milliseconds(300));
  return exchanges / absl::ToDoubleSeconds(elapsed);
}

TEST_CASE("A worker that stops reading costs the others nothing", "[worker]") {
  const CountedJob job = {.workers = 2, .shards = 4, .shard_floats = 1 << 20};
  ServerProcess server;
  TcpProxy proxy(server.port(), {}, 1);
  Worker fast(job, 0, server.port(), false);
  Worker slow(job, 1, proxy.port(), false);
  REQUIRE(fast.Join() == absl::OkStatus());
  REQUIRE(slow.Join() == absl::OkStatus());
  Flat update(job.floats()), reply(job.floats());
  REQUIRE(fast.link().Initialize(update) == absl::OkStatus());
  double alone = 0, beside = 0;
  // The best of several, as the machine has others to serve, too.
  for (int round = 0; round < 4 || (round < 20 && beside < 0.7 * alone);
       ++round) {
    alone = std::max(alone, Rate(fast, update, reply));
    proxy.HoldAnswers(true);
    std::vector<std::unique_ptr<TestCall>> calls;
    for (int shard = 0; shard < job.shards; ++shard) {
      calls.push_back(std::make_unique<TestCall>());
      calls.back()->request.set_job_id(kJobId);
      calls.back()->request.set_worker(1);
      calls.back()->request.set_incarnation(slow.Incarnation());
      calls.back()->request.set_shard(shard);
      calls.back()->request.set_max_lead(-1);
      slow.client().Exchange(*calls.back());
    }
    beside = std::max(beside, Rate(fast, update, reply));
    for (const auto& call : calls) CHECK(call->finished == 0);
    proxy.HoldAnswers(false);
    for (const auto& call : calls) {
      REQUIRE(call->Wait());
      CHECK(call->status == absl::OkStatus());
    }
  }
  CHECK(fast.failures() == 0);
  CHECK(beside >= 0.7 * alone);
  CHECK(server.peak_memory_bytes() <= MostServerBytes(job, false));
}

// The most that a server held while as many workers exchanged all at once.
int64_t PeakBytes(const CountedJob& job, bool shares_memory) {
  ServerProcess server;
  std::vector<std::unique_ptr<Worker>> workers;
  const Flat update(job.floats());
  for (int rank = 0; rank < job.workers; ++rank) {
    workers.push_back(
        std::make_unique<Worker>(job, rank, server.port(), shares_memory));
    REQUIRE(workers.back()->Join() == absl::OkStatus());
  }
  REQUIRE(workers[0]->link().Initialize(update) == absl::OkStatus());
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (const auto& worker : workers) {
    threads.emplace_back([&] {
      Flat reply(job.floats());
      for (int exchange = 0; exchange < 4; ++exchange) {
        failures += worker->link().PushPull(update, reply).ok() ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
  return server.peak_memory_bytes();
}

TEST_CASE(
    "A server's memory stays within its formula whatever the number of "
    "workers",
    "[worker]") {
  for (const bool shares_memory : {false, true}) {
    for (const int workers : {1, 8, 32}) {
      const CountedJob job = {
          .workers = workers, .shards = 16, .shard_floats = kMiB / 4};
      INFO(workers << " workers, " << (shares_memory ? "shm" : "grpc"));
      const int64_t peak = PeakBytes(job, shares_memory);
      CHECK(peak <= MostServerBytes(job, shares_memory));
    }
  }
}

}  // namespace
}  // namespace monsoon
