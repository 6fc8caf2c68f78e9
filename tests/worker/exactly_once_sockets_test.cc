// SPDX-License-Identifier: Apache-2.0
//
// Workers whose pushes go over real sockets through a network that cuts, stalls
// and trickles.
#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/clock.h"
#include "server/server.h"
#include "tests/transport/tcp_proxy.h"
#include "tests/worker/acknowledged_calls.h"
#include "tests/worker/counted_pushes.h"
#include "transport/grpc_client.h"
#include "transport/grpc_server.h"
#include "transport/grpc_settings.h"
#include "worker/shard_link.h"

namespace monsoon {
namespace {

using Catch::Equals;

const bool kPrepared = (PrepareGrpc(), true);

constexpr uint64_t kJobId = 7;
constexpr uint64_t kSeed = 20240607;
constexpr int kMostLives = 1000;

// Of the servers themselves, without the network.
Flat Center(const CountedJob& job, std::vector<ServerCalls*> servers) {
  ShardLink observer({.servers = std::move(servers),
                      .shards = job.Shards(),
                      .job_id = kJobId,
                      .worker = -1},
                     RealClock());
  Flat center(job.floats());
  const absl::Status pulled = observer.Pull(center);
  MONSOON_CHECK(pulled.ok(), "an observer may always pull");
  return center;
}

struct Cluster {
  explicit Cluster(const CountedJob& j) : job(j) {
    for (int i = 0; i < job.servers; ++i) {
      // Who was given up may be replaced at once.
      servers.push_back(std::make_unique<Server>(
          RealClock(), ServerOptions{.lease = absl::ZeroDuration()}));
      carriers.push_back(*GrpcServer::Start(*servers.back(), "127.0.0.1:0"));
      calls.push_back(servers.back().get());
    }
  }
  const CountedJob job;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<std::unique_ptr<GrpcServer>> carriers;
  std::vector<ServerCalls*> calls;
};

// One rank over all its lives: it starts anew when an exchange comes to nothing
// within the timeout. For one thread.
class Rank {
 public:
  struct Settings {
    int worker = 0;
    int64_t exchanges = 0;  // in all
    absl::Duration timeout;
    TcpProxy::Plan plan;
  };

  Rank(Cluster& cluster, Settings settings)
      : cluster_(cluster), job_(cluster.job), settings_(settings) {
    for (int server = 0; server < job_.servers; ++server) {
      proxies_.push_back(std::make_unique<TcpProxy>(
          cluster.carriers[static_cast<size_t>(server)]->port(), settings.plan,
          kSeed +
              static_cast<uint64_t>(settings.worker * job_.servers + server)));
    }
  }

  void Run() {
    while (exchanged_ < settings_.exchanges && lives_ < kMostLives) Live();
  }

  int64_t exchanged() const { return exchanged_; }
  int lives() const { return lives_; }
  const std::string& wrong() const { return wrong_; }
  int happened(TcpProxy::Fault fault) const {
    int sum = 0;
    for (const auto& proxy : proxies_) sum += proxy->happened(fault);
    return sum;
  }

 private:
  void Live() {
    const uint64_t incarnation =
        static_cast<uint64_t>(settings_.worker) * kMostLives +
        static_cast<uint64_t>(++lives_);
    std::vector<PushProgress> progress(static_cast<size_t>(job_.shards));
    std::vector<std::unique_ptr<GrpcClient>> clients;
    std::vector<std::unique_ptr<AcknowledgedCalls>> noted;
    std::vector<ServerCalls*> calls;
    for (int server = 0; server < job_.servers; ++server) {
      clients.push_back(*GrpcClient::Create(
          absl::StrCat("127.0.0.1:",
                       proxies_[static_cast<size_t>(server)]->port()),
          RealClock()));
      noted.push_back(std::make_unique<AcknowledgedCalls>(
          *clients.back(), absl::MakeSpan(progress)));
      calls.push_back(noted.back().get());
      Join(*clients.back(), server, incarnation);
    }
    ShardLink link({.servers = calls,
                    .shards = job_.Shards(),
                    .job_id = kJobId,
                    .worker = settings_.worker,
                    .incarnation = incarnation,
                    .timeout = settings_.timeout},
                   RealClock());
    Flat update(job_.floats()), reply(job_.floats());
    // From here on only this life counts.
    const Flat before = Center(job_, cluster_.calls);
    for (int64_t n = 1; exchanged_ < settings_.exchanges; ++n) {
      FillPush(job_, settings_.worker, lives_, n, update);
      const absl::Status status = link.PushPull(update, reply);
      if (!status.ok()) {
        if (!absl::IsDeadlineExceeded(status) && !absl::IsUnavailable(status)) {
          wrong_ += absl::StrCat(status.ToString(), "\n");
        }
        break;  // as a worker does: whatever was left is in flight
      }
      ++exchanged_;
      CheckReply(before, reply, n);
    }
    CheckEnd(before, progress);
  }

  void Join(ServerCalls& server, int index, uint64_t incarnation) {
    pb::JoinReply reply;
    const auto request =
        job_.JoinAs(settings_.worker, index, kJobId, incarnation);
    absl::Status status;
    do {
      status = server.Join(request, reply);
    } while (absl::IsUnavailable(status));
    if (!status.ok()) wrong_ += absl::StrCat(status.ToString(), "\n");
  }

  // The answer to a push has it, once, and every part of every other push.
  void CheckReply(const Flat& before, const Flat& reply, int64_t n) {
    for (int shard = 0; shard < job_.shards; ++shard) {
      wrong_ += WrongLife(AppliedOf(job_, before, settings_.worker, shard),
                          AppliedOf(job_, reply, settings_.worker, shard),
                          lives_, n, n);
    }
    wrong_ += WrongTotals(job_, reply);
  }

  // The next life has come: what this one has still in flight is refused.
  void CheckEnd(const Flat& before, const std::vector<PushProgress>& progress) {
    if (exchanged_ < settings_.exchanges) {
      for (int server = 0; server < job_.servers; ++server) {
        Join(*cluster_.calls[static_cast<size_t>(server)], server,
             static_cast<uint64_t>(settings_.worker) * kMostLives +
                 static_cast<uint64_t>(lives_ + 1));
      }
    }
    const Flat after = Center(job_, cluster_.calls);
    for (int shard = 0; shard < job_.shards; ++shard) {
      const PushProgress& done = progress[static_cast<size_t>(shard)];
      wrong_ += WrongLife(AppliedOf(job_, before, settings_.worker, shard),
                          AppliedOf(job_, after, settings_.worker, shard),
                          lives_, done.acknowledged, done.begun);
    }
  }

  Cluster& cluster_;
  const CountedJob job_;
  const Settings settings_;
  std::vector<std::unique_ptr<TcpProxy>> proxies_;
  int64_t exchanged_ = 0;
  int lives_ = 0;
  std::string wrong_;
};

// Runs all ranks; what is wrong with any of them.
std::string Run(std::vector<std::unique_ptr<Rank>>& ranks) {
  std::vector<std::thread> threads;
  for (auto& rank : ranks) threads.emplace_back([&rank] { rank->Run(); });
  for (std::thread& thread : threads) thread.join();
  std::string wrong;
  for (auto& rank : ranks) wrong += rank->wrong().substr(0, 2000);
  return wrong;
}

absl::Status Begin(Cluster& cluster) {
  pb::JoinReply reply;
  absl::Status status;
  for (int i = 0; i < cluster.job.servers; ++i) {
    status.Update(cluster.calls[static_cast<size_t>(i)]->Join(
        cluster.job.JoinAs(0, i, kJobId, kMostLives * 1000), reply));
  }
  ShardLink link({.servers = cluster.calls,
                  .shards = cluster.job.Shards(),
                  .job_id = kJobId,
                  .worker = 0,
                  .incarnation = kMostLives * 1000},
                 RealClock());
  status.Update(link.Initialize(Flat(cluster.job.floats())));
  return status;
}

TEST_CASE(
    "Every push is applied once through a network that cuts, stalls, "
    "half-closes and trickles",
    "[worker]") {
  Cluster cluster(
      {.workers = 4, .servers = 2, .shards = 6, .shard_floats = 3000});
  REQUIRE(Begin(cluster) == absl::OkStatus());
  std::vector<std::unique_ptr<Rank>> ranks;
  for (int worker = 0; worker < 4; ++worker) {
    ranks.push_back(std::make_unique<Rank>(
        cluster, Rank::Settings{.worker = worker,
                                .exchanges = 750,
                                .timeout = absl::Seconds(60),
                                .plan = {.most_bytes = 600'000}}));
  }
  CHECK_THAT(Run(ranks), Equals(""));
  int64_t exchanged = 0;
  for (const auto& rank : ranks) {
    exchanged += rank->exchanged();
    CHECK(rank->lives() == 1);  // each fault was got over
  }
  CHECK(exchanged == 3000);
  for (int fault = 0; fault < TcpProxy::kFaults; ++fault) {
    INFO("fault " << fault);
    int happened = 0;
    for (const auto& rank : ranks) {
      happened += rank->happened(static_cast<TcpProxy::Fault>(fault));
    }
    CHECK(happened >= 20);
  }
  CHECK_THAT(WrongTotals(cluster.job, Center(cluster.job, cluster.calls)),
             Equals(""));
}

TEST_CASE("What a worker that gave up has in flight counts at most once",
          "[worker]") {
  Cluster cluster(
      {.workers = 3, .servers = 2, .shards = 6, .shard_floats = 3000});
  REQUIRE(Begin(cluster) == absl::OkStatus());
  std::vector<std::unique_ptr<Rank>> ranks;
  for (int worker = 0; worker < 3; ++worker) {
    ranks.push_back(std::make_unique<Rank>(
        cluster,
        Rank::Settings{.worker = worker,
                       .exchanges = 300,
                       .timeout = absl::Milliseconds(60),
                       .plan = {.most_bytes = 600'000,
                                .longest_stall = absl::Milliseconds(200),
                                .weights = {1, 1, 1, 6, 1}}}));
  }
  CHECK_THAT(Run(ranks), Equals(""));
  int lives = 0;
  for (const auto& rank : ranks) {
    CHECK(rank->exchanged() == 300);
    lives += rank->lives();
  }
  CHECK(lives >= 10);
  CHECK_THAT(WrongTotals(cluster.job, Center(cluster.job, cluster.calls)),
             Equals(""));
}

}  // namespace
}  // namespace monsoon
