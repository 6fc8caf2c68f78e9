// SPDX-License-Identifier: Apache-2.0
// Workers that push, die and come back over networks that lose, repeat, delay,
// reorder and cut what they send, in virtual time and the same in every run: a
// push is applied once, never zero times after it was acknowledged and never
// twice.
#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "sim/virtual_clock.h"
#include "tests/worker/exactly_once_model.h"
#include "trainers/optimizer.h"
#include "transport/faulty.h"
#include "worker/shard_link.h"

namespace monsoon {
namespace {

constexpr int kWorkers = 4;
constexpr int kServers = 2;
constexpr uint64_t kFaultStream = 100, kActorStream = 101;
constexpr Faults kFaults = {.drop_before = 0.08,
                            .cut = 0.05,
                            .drop_after = 0.1,
                            .duplicate = 0.1,
                            .delay = 0.2,
                            .late = 0.08,
                            .max_delay = absl::Milliseconds(400)};

// The servers of one job, and how each worker reaches them.
struct Cluster {
  explicit Cluster(uint64_t seed) : clock(absl::Hours(24)), model(kWorkers) {
    for (int i = 0; i < kServers; ++i) servers.emplace_back(i, model, clock);
    for (uint64_t i = 0; i < kWorkers * kServers; ++i) {
      networks.emplace_back(
          servers[i % kServers], Random{seed, kFaultStream, i}, kFaults,
          [this](absl::Duration delay, std::function<void()> action) {
            clock.After(delay, std::move(action));
          });
    }
  }
  std::vector<ServerCalls*> ServersOf(int worker) {
    std::vector<ServerCalls*> calls;
    for (int i = 0; i < kServers; ++i) {
      calls.push_back(&networks[static_cast<size_t>(worker) * kServers +
                                static_cast<size_t>(i)]);
    }
    return calls;
  }

  VirtualClock clock;
  ExactlyOnceModel model;
  std::deque<AuditedServer> servers;
  std::deque<FaultyCalls> networks;
};

// One rank: all the processes that have it, one after the other.
class Rank {
 public:
  Rank(Cluster& cluster, int worker, uint64_t seed, int operations)
      : cluster_(cluster),
        model_(cluster.model),
        worker_(worker),
        servers_(cluster.ServersOf(worker)),
        operations_(operations),
        random_({seed, kActorStream, static_cast<uint64_t>(worker)}) {}

  void Live() {
    Start();
    if (worker_ == 0) Expect(link_->Initialize(model_.Initial()));
    Flat center(ExactlyOnceModel::kParameters);
    Expect(link_->Pull(center));  // waits for it
    for (int i = 0; i < operations_ && model_.failures().empty(); ++i) {
      Operate();
    }
    Report(pb::DONE);
  }

 private:
  void Operate() {
    const uint64_t draw = random_.Below(100);
    if (draw < 20) return Push(/*pulls=*/true);
    if (draw < 35) return Push(/*pulls=*/false);
    if (draw < 55) return Report(pb::RUNNING);
    if (draw < 75) return JoinAll();
    if (draw < 82) return InitializeAgain();
    if (draw < 88) return Pull();
    if (draw < 93) return Pause();
    if (draw < 98) return PushToAnotherJob();
    Restart();
  }

  // A process of this rank: joins, with a link of its own.
  void Start() {
    incarnation_ = random_.Next();
    JoinAll();
    const absl::Duration timeout =
        random_.Below(4) == 0 ? absl::Milliseconds(800) : absl::Seconds(60);
    link_ = std::make_unique<ShardLink>(Config(ExactlyOnceModel::kJob, timeout),
                                        cluster_.clock);
    replica_ = std::make_unique<Replica>(worker_, 1, *optimizer_);
    link_->Attach(*replica_);
    steps_ = 0;
    pushes_ = 0;
  }

  ShardLink::Config Config(uint64_t job, absl::Duration timeout) const {
    std::vector<ShardRange> shards;
    for (const pb::Shard& shard : spec_.shards()) {
      shards.push_back({shard.offset(), shard.size(), shard.server()});
    }
    return {.servers = servers_,
            .shards = shards,
            .job_id = job,
            .worker = worker_,
            .incarnation = incarnation_,
            .timeout = timeout};
  }

  // Calls until it is heard, however often that is lost.
  template <typename Call>
  void Insist(Call call) {
    while (true) {
      const absl::Status status = call();
      if (status.ok()) return;
      // The job is not there yet, or the past self not yet forgotten.
      if (!absl::IsUnavailable(status) && !absl::IsNotFound(status) &&
          !absl::IsAlreadyExists(status)) {
        return model_.Fail(
            absl::StrCat("worker ", worker_, ": ", status.ToString()));
      }
      Pause();
    }
  }

  absl::Status Join(size_t server, uint64_t incarnation) {
    pb::JoinRequest request;
    request.set_job_id(ExactlyOnceModel::kJob);
    request.set_worker(worker_);
    request.set_incarnation(incarnation);
    request.set_server_index(static_cast<int>(server));
    *request.mutable_spec() = spec_;
    pb::JoinReply reply;
    return servers_[server]->Join(request, reply);
  }
  void JoinAll() {
    for (size_t i = 0; i < servers_.size(); ++i) {
      Insist([&] { return Join(i, incarnation_); });
    }
  }

  absl::Status Report(size_t server, uint64_t incarnation,
                      pb::WorkerState state) {
    pb::ReportRequest request;
    request.set_job_id(ExactlyOnceModel::kJob);
    request.set_worker(worker_);
    request.set_incarnation(incarnation);
    request.mutable_report()->set_state(state);
    request.mutable_report()->set_steps(steps_);
    pb::ReportReply reply;
    return servers_[server]->Report(request, reply);
  }
  void Report(pb::WorkerState state) {
    ++steps_;
    for (size_t i = 0; i < servers_.size(); ++i) {
      Insist([&] { return Report(i, incarnation_, state); });
    }
  }

  void Push(bool pulls) {
    ++number_;
    ++replica_->step;
    replica_->pending = 1;
    replica_->pending_samples = ExactlyOnceModel::Samples(number_);
    model_.Begin(worker_, number_);
    const Flat update = model_.Update(worker_, number_);
    Flat reply(ExactlyOnceModel::kParameters);
    const absl::Status status =
        pulls ? link_->PushPull(update, reply) : link_->Push(update);
    if (!status.ok()) return GiveUp(status);
    model_.Acknowledge(worker_);
    if (pulls) model_.CheckOwn(worker_, reply);
    if (link_->counters().pushes != ++pushes_) {
      model_.Fail("the link counts its pushes wrong");
    }
  }

  void Pull() {
    Flat center(ExactlyOnceModel::kParameters);
    const int64_t rounds = random_.Below(3) == 0 ? 1 : 0;
    const absl::Status status = link_->Pull(center, {.rounds = rounds});
    if (status.ok()) return model_.CheckOwn(worker_, center);
    if (rounds == 0) GiveUp(status);  // else nobody may have pushed
  }

  // The first center stays, whatever others bring.
  void InitializeAgain() {
    const absl::Status status =
        link_->Initialize(model_.Update(worker_, 1 + number_));
    if (!status.ok()) GiveUp(status);
  }

  void PushToAnotherJob() {
    ShardLink link(Config(ExactlyOnceModel::kJob + 1, absl::Seconds(60)),
                   cluster_.clock);
    if (!absl::IsFailedPrecondition(link.Push(model_.Update(worker_, 1)))) {
      model_.Fail("a push to a job that is not here was not refused");
    }
  }

  void Pause() {
    cluster_.clock.NewEvent()->Wait(
        cluster_.clock.Now() +
        absl::Milliseconds(50 + static_cast<int64_t>(random_.Below(200))));
  }

  // A replica whose exchange is not complete is discarded, and its process with
  // it: here its link had too little time.
  void GiveUp(const absl::Status& status) {
    if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
      model_.Fail(absl::StrCat("worker ", worker_, ": ", status.ToString()));
    }
    model_.Count("given up");
    Restart();
  }

  void Restart() {
    model_.Count("restarted");
    const std::unique_ptr<ShardLink> old = std::move(link_);
    const uint64_t past = incarnation_;
    const std::unique_ptr<Replica> replica = std::move(replica_);
    Start();
    // All servers know the new process: nothing of the old may happen now.
    model_.GiveUp(worker_);
    if (random_.Below(2) == 0) WakeUp(*old, past);
  }

  // The old process goes on where it was.
  void WakeUp(ShardLink& old, uint64_t past) {
    model_.Count("woken up");
    Flat reply(ExactlyOnceModel::kParameters);
    const Flat update = model_.Update(worker_, number_ + 1);
    const bool changed = old.Push(update).ok() || old.Pull(reply).ok() ||
                         old.PushPull(update, reply).ok() ||
                         old.Initialize(update).ok() || Join(0, past).ok() ||
                         Report(1, past, pb::FAILED).ok();
    if (changed) model_.Fail("a process that was replaced was served");
  }

  void Expect(const absl::Status& status) {
    // Before anything is at stake, even a hasty link is given its time.
    if (status.ok()) return;
    GiveUp(status);
    if (worker_ == 0) Expect(link_->Initialize(model_.Initial()));
  }

  Cluster& cluster_;
  ExactlyOnceModel& model_;
  const int worker_;
  const std::vector<ServerCalls*> servers_;
  const int operations_;
  const pb::JobSpec spec_ = ExactlyOnceModel::Spec(kWorkers);
  const std::unique_ptr<Optimizer> optimizer_ = *MakeOptimizer("sgd", 1);
  Random random_;
  uint64_t incarnation_ = 0;
  std::unique_ptr<ShardLink> link_;
  std::unique_ptr<Replica> replica_;
  int64_t steps_ = 0;   // of the present process, as it reports them
  int64_t pushes_ = 0;  // that its link has finished
  int64_t number_ = 0;  // of the rank's pushes, whichever process made them
};

struct Outcome {
  std::string failures;
  uint64_t digest = 0;
  std::map<std::string, int64_t> counts;
};

// All ranks together make about this many calls of their links and to join and
// report.
Outcome Drive(uint64_t seed, int operations) {
  Cluster cluster(seed);
  std::deque<Rank> ranks;
  std::vector<std::function<void()>> actors;
  for (int worker = 0; worker < kWorkers; ++worker) {
    Rank& rank =
        ranks.emplace_back(cluster, worker, seed, operations / kWorkers);
    actors.emplace_back([&rank] { rank.Live(); });
  }
  cluster.clock.Run(actors);
  cluster.model.CheckEnd();
  for (AuditedServer& server : cluster.servers) server.CheckEnd();
  return {cluster.model.failures(), cluster.model.digest(),
          cluster.model.counts()};
}

TEST_CASE("Over bad networks every push is applied exactly once") {
  const Outcome outcome = Drive(/*seed=*/1, 20'000);
  INFO(outcome.failures);
  CHECK(outcome.failures.empty());
  for (const auto& [what, count] : outcome.counts) {
    UNSCOPED_INFO(what << ": " << count);
  }
  // It was no easy life.
  for (const char* what : {"PUSH", "PUSH_PULL", "PULL", "INITIALIZE", "JOIN",
                           "REPORT", "applied", "repeated"}) {
    INFO(what);
    CHECK(outcome.counts.at(what) >= 10'000);
  }
  for (const char* what :
       {"cut", "of nobody present", "out of turn", "restarted", "woken up"}) {
    INFO(what);
    CHECK(outcome.counts.at(what) >= 100);
  }
}

TEST_CASE("What bad networks do follows from the seed alone") {
  const uint64_t digest = Drive(2, 400).digest;
  CHECK(digest == Drive(2, 400).digest);
  CHECK(digest != Drive(3, 400).digest);
}

}  // namespace
}  // namespace monsoon
