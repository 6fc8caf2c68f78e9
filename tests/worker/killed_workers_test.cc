// SPDX-License-Identifier: Apache-2.0
//
// Workers that are killed at random moments and started again, under load:
// real processes, real servers.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/random.h"
#include "cli/process.h"
#include "tests/base/temporary_folder.h"
#include "tests/worker/push_worker.h"
#include "tests/worker/server_process.h"
#include "transport/grpc_settings.h"
#include "worker/shard_link.h"

namespace monsoon {
namespace {

using Catch::Equals;

const bool kPrepared = (PrepareGrpc(), true);

constexpr int kKills = 100;  // with each transport
constexpr uint64_t kSeed = 5;
constexpr char kLease[] = "0.2";

// The servers of one job, which has its center.
struct Servers {
  Servers() {
    for (int i = 0; i < kPushJob.servers; ++i) {
      processes.push_back(std::make_unique<ServerProcess>(
          std::vector<std::string>{"--lease", kLease}));
      addresses.push_back(processes.back()->address());
      calls.push_back(&processes.back()->client());
    }
    JoinAll(0);
    ShardLink link(Config(0), RealClock());
    REQUIRE(link.Initialize(Flat(kPushJob.floats())) == absl::OkStatus());
  }

  // This process takes over all ranks, as their life number `life`.
  void JoinAll(int life) {
    for (int server = 0; server < kPushJob.servers; ++server) {
      for (int rank = 0; rank < kPushJob.workers; ++rank) {
        pb::JoinReply reply;
        absl::Status joined;
        REQUIRE(Eventually([&] {
          joined = calls[static_cast<size_t>(server)]->Join(
              kPushJob.JoinAs(rank, server, kPushJobId,
                              PushIncarnation(rank, life)),
              reply);
          return !absl::IsAlreadyExists(joined);
        }));
        REQUIRE(joined == absl::OkStatus());
      }
    }
  }
  ShardLink::Config Config(int worker) const {
    return {.servers = calls,
            .shards = kPushJob.Shards(),
            .job_id = kPushJobId,
            .worker = worker,
            .incarnation = worker < 0 ? 0 : PushIncarnation(worker, 0)};
  }
  Flat Center() {
    ShardLink observer(Config(-1), RealClock());
    Flat center(kPushJob.floats());
    REQUIRE(observer.Pull(center) == absl::OkStatus());
    return center;
  }

  std::vector<std::unique_ptr<ServerProcess>> processes;
  std::vector<std::string> addresses;
  std::vector<ServerCalls*> calls;
};

// One rank: its present process and when that is to die.
class Victim {
 public:
  Victim(int rank, PushRecords& records, std::vector<std::string> arguments)
      : rank_(rank),
        records_(records[static_cast<size_t>(rank)]),
        arguments_(std::move(arguments)),
        random_({kSeed, static_cast<uint64_t>(rank)}) {}

  // Starts it, or kills it when its time has come; returns the kills.
  int Step() {
    if (process_ == nullptr) {
      Start();
      return 0;
    }
    if (process_->exit().has_value()) {
      wrong_ += absl::StrCat("rank ", rank_, ", life ", life_, ": ",
                             DescribeExit(*process_->exit()), ", ",
                             Life(life_).error, "\n");
    }
    // Most die between two of their pushes, some before the first.
    if (dies_ == absl::InfiniteFuture() && Life(life_).has_begun) {
      dies_ = In(150);
    }
    if (RealClock().Now() < dies_) return 0;
    Kill();
    return 1;
  }
  void Kill() {
    if (process_ == nullptr) return;
    process_->Signal(SIGKILL);
    process_.reset();
  }

  const std::string& wrong() const { return wrong_; }
  LifeRecord& Life(int life) { return records_[static_cast<size_t>(life)]; }
  // The last life that has begun to push; 0: none.
  int LastBegun() {
    int life = life_;
    while (life > 0 && !Life(life).has_begun) --life;
    return life;
  }

 private:
  absl::Time In(uint64_t milliseconds) {
    return RealClock().Now() + absl::Microseconds(static_cast<int64_t>(
                                   random_.Below(1000 * milliseconds)));
  }
  void Start() {
    std::vector<std::string> arguments = arguments_;
    arguments.insert(arguments.begin() + 3,
                     {absl::StrCat(rank_), absl::StrCat(++life_)});
    process_ = *Process::Start({.arguments = arguments}, [] {});
    dies_ = random_.Below(8) == 0 ? In(300) : absl::InfiniteFuture();
  }

  const int rank_;
  std::array<LifeRecord, kMostLives>& records_;
  const std::vector<std::string> arguments_;
  Random random_;
  std::unique_ptr<Process> process_;
  int life_ = 0;
  absl::Time dies_;
  std::string wrong_;
};

// acknowledged <= applied <= acknowledged + in flight, at any moment.
class Watch {
 public:
  Watch(Servers& servers, std::vector<Victim>& victims)
      : servers_(servers), victims_(victims) {}

  void Look() {
    std::vector<int64_t> least;
    Each([&](Victim& victim, int shard) {
      least.push_back(Count(victim, shard, /*acknowledged=*/true));
    });
    const Flat center = servers_.Center();
    wrong_ += WrongTotals(kPushJob, center);
    size_t i = 0;
    int rank = 0;
    Each([&](Victim& victim, int shard) {
      const int64_t low = least[i++];
      const int64_t high = Count(victim, shard, /*acknowledged=*/false);
      const int64_t found = AppliedOf(kPushJob, center, rank, shard).count;
      if (found < low || found > high) {
        wrong_ += absl::StrCat("rank ", rank, ", shard ", shard, ": ", found,
                               " applied, expected ", low, " to ", high, "\n");
      }
      if (shard + 1 == kPushJob.shards) ++rank;
    });
    ++looks_;
  }

  // Every life on its own, once none can do anything any more.
  int64_t LookBack() {
    const Flat center = servers_.Center();
    int64_t pushes = 0;
    for (int rank = 0; rank < kPushJob.workers; ++rank) {
      Victim& victim = victims_[static_cast<size_t>(rank)];
      for (int shard = 0; shard < kPushJob.shards; ++shard) {
        const auto s = static_cast<size_t>(shard);
        Applied after = AppliedOf(kPushJob, center, rank, shard);
        pushes += after.count;
        for (int life = victim.LastBegun(); life > 0; --life) {
          const LifeRecord& record = victim.Life(life);
          if (!record.has_begun) continue;
          const PushProgress& done = record.shards[s];
          wrong_ += WrongLife(record.before[s], after, life, done.acknowledged,
                              done.begun);
          after = record.before[s];
        }
        if (after.count != 0) wrong_ += "pushes before the first\n";
      }
    }
    return pushes;
  }

  int looks() const { return looks_; }
  const std::string& wrong() const { return wrong_; }

 private:
  void Each(const std::function<void(Victim&, int)>& visit) {
    for (Victim& victim : victims_) {
      for (int shard = 0; shard < kPushJob.shards; ++shard) {
        visit(victim, shard);
      }
    }
  }
  static int64_t Count(Victim& victim, int shard, bool acknowledged) {
    const auto s = static_cast<size_t>(shard);
    const int life = victim.LastBegun();
    if (life == 0) return 0;
    const LifeRecord& record = victim.Life(life);
    const PushProgress& done = record.shards[s];
    return record.before[s].count +
           (acknowledged ? done.acknowledged : done.begun);
  }

  Servers& servers_;
  std::vector<Victim>& victims_;
  int looks_ = 0;
  std::string wrong_;
};

void KillWorkers(const std::string& transport) {
  const TemporaryFolder folder;
  Servers servers;
  const std::string file = folder.At("records");
  PushRecords& records = MapRecords(file);
  std::vector<std::string> arguments = {
      absl::StrCat(MONSOON_BINARY_DIR, "/push_worker"), file, transport};
  arguments.insert(arguments.end(), servers.addresses.begin(),
                   servers.addresses.end());
  std::vector<Victim> victims;
  for (int rank = 0; rank < kPushJob.workers; ++rank) {
    victims.emplace_back(rank, records, arguments);
  }
  Watch watch(servers, victims);
  const ServerProcess& server = *servers.processes[0];
  const int64_t files = server.open_files();
  int64_t memory = 0;
  int kills = 0;
  while (kills < kKills && watch.wrong().empty()) {
    for (Victim& victim : victims) {
      kills += victim.Step();
      CHECK_THAT(victim.wrong(), Equals(""));
    }
    watch.Look();
    if (memory == 0 && kills >= kKills / 4) memory = server.memory_bytes();
    RealClock().NewEvent()->Wait(RealClock().Now() + absl::Milliseconds(2));
  }
  for (Victim& victim : victims) victim.Kill();
  servers.JoinAll(kMostLives);
  watch.Look();
  const int64_t pushes = watch.LookBack();
  CHECK_THAT(watch.wrong().substr(0, 2000), Equals(""));
  CHECK(kills >= kKills);
  CHECK(watch.looks() > kKills);
  CHECK(pushes > kKills * kPushJob.shards);
  // One life in eight leaves 8 shards of memory and 3 files, were they kept.
  CHECK(Eventually(
      [&] { return server.open_files() <= files + 2 * kPushJob.workers; }));
  CHECK(server.memory_bytes() - memory < 16 << 20);
}

TEST_CASE(
    "Of workers that are killed over gRPC every acknowledged push was "
    "applied, and no other but what was in flight",
    "[worker]") {
  KillWorkers("grpc");
}

TEST_CASE(
    "Of workers that are killed over shared memory every acknowledged "
    "push was applied, and no other but what was in flight",
    "[worker]") {
  KillWorkers("shm");
}

}  // namespace
}  // namespace monsoon
