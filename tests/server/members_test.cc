// SPDX-License-Identifier: Apache-2.0
// Who takes part: calls that come late, from past selves and past jobs.
#include <catch2/catch.hpp>

#include "server/hosted_shard.h"
#include "tests/server/running_job.h"
#include "trainers/trainer.h"

namespace monsoon {
namespace {

using Catch::Contains;
using Request = pb::ExchangeRequest;

constexpr uint64_t kPast = 101;  // what JoinAs and RecordedCall say of worker 1
constexpr uint64_t kPresent = 555;

pb::JoinRequest Restarted() {
  pb::JoinRequest request = JoinAs(1, DeltaJob(2));
  request.set_incarnation(kPresent);
  return request;
}

// Worker 1 falls silent and is restarted.
void Restart(RunningJob& job) {
  job.clock.now += ServerOptions().lease + absl::Seconds(1);
  REQUIRE(TryJoin(job.server, Restarted()).ok());
}

pb::WorkerReport MemberReport(Server& server, int worker) {
  pb::JobStatus status;
  REQUIRE(server.GetJob({}, status).ok());
  return status.members(worker).report();
}

absl::Status Say(Server& server, pb::WorkerState state, bool keeps_job,
                 int64_t steps) {
  pb::ReportRequest request;
  request.set_job_id(7);
  request.set_worker(1);
  request.set_incarnation(kPast);
  request.mutable_report()->set_state(state);
  request.mutable_report()->set_keeps_job(keeps_job);
  request.mutable_report()->set_steps(steps);
  pb::ReportReply reply;
  return server.Report(request, reply);
}

TEST_CASE("The first pushes of a restarted worker are no repeats") {
  RunningJob job;
  for (uint64_t sequence : {1, 2}) {
    RecordedCall push(Request::PUSH, 7, 1, {1, 1, 1}, sequence);
    job.server.Exchange(push);
    REQUIRE(push.status == absl::OkStatus());
  }
  Restart(job);
  for (uint64_t sequence : {1, 2, 3}) {
    RecordedCall push(Request::PUSH, 7, 1, {10, 10, 10}, sequence);
    push.request.set_incarnation(kPresent);
    job.server.Exchange(push);
    REQUIRE(push.status == absl::OkStatus());
  }
  CHECK(job.Center() == std::vector<float>{33, 34, 35});
}

TEST_CASE("A process that was replaced is refused for good, whatever it asks") {
  RunningJob job;
  Restart(job);
  RecordedCall push(Request::PUSH, 7, 1, {1, 1, 1}, 1);
  job.server.Exchange(push);
  CHECK(absl::IsFailedPrecondition(*push.status));
  // Its Join came late, when the present one has ended, too, and is silent.
  pb::ReportRequest end;
  end.set_job_id(7);
  end.set_worker(1);
  end.set_incarnation(kPresent);
  end.mutable_report()->set_state(pb::DONE);
  pb::ReportReply reply;
  REQUIRE(job.server.Report(end, reply).ok());
  job.clock.now += 2 * ServerOptions().lease;
  const absl::Status refused = TryJoin(job.server, JoinAs(1, DeltaJob(2)));
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK_THAT(std::string(refused.message()),
             Contains("worker 1 was replaced by a newer process"));
  RecordedCall present(Request::PUSH, 7, 1, {1, 1, 1}, 1);
  present.request.set_incarnation(kPresent);
  job.server.Exchange(present);
  CHECK(present.status == absl::OkStatus());
  CHECK(job.Center() == std::vector<float>{2, 3, 4});
}

TEST_CASE("A pull that a process left behind ends when it is replaced") {
  RunningJob job;
  RecordedCall waits(Request::PULL, 7, 1);
  waits.request.set_rounds(1);
  job.server.Exchange(waits);
  REQUIRE_FALSE(waits.finished());
  Restart(job);
  REQUIRE(waits.finished());
  CHECK(absl::IsFailedPrecondition(*waits.status));
  RecordedCall push(Request::PUSH, 7, 0, {1, 1, 1}, 1);
  job.server.Exchange(push);
  // The new process has not pulled: its base is not what the old one waited
  // for.
  RecordedCall first(Request::PUSH, 7, 1, {1, 1, 1}, 1);
  first.request.set_incarnation(kPresent);
  job.server.Exchange(first);
  CHECK(first.reply.staleness() == 1);
}

TEST_CASE("A shard itself refuses who was replaced after the job had looked") {
  const MadeTrainer made = *MakeTrainer("downpour", {{"form", "delta"}}, {});
  HostedShard shard(0, Flat(1), 0, RulesOf(*made.trainer));
  RecordedCall init(Request::INITIALIZE, 7, 0, {8});
  shard.Exchange(init);
  shard.Enter(1, kPast);
  shard.Enter(1, kPresent);
  for (const uint64_t incarnation : {kPast, kPresent}) {
    RecordedCall push(Request::PUSH_PULL, 7, 1, {1}, 1);
    push.request.set_incarnation(incarnation);
    shard.Exchange(push);
    REQUIRE(push.finished());
    const bool is_present = incarnation == kPresent;
    CHECK(push.status->ok() == is_present);
    // A call that entered twice, by a repeated Join, is still the same process.
    shard.Enter(1, kPresent);
  }
  RecordedCall pull(Request::PULL, 7, -1);
  shard.Exchange(pull);
  CHECK(pull.reply_values == std::vector<float>{9});
  RecordedCall repeat(Request::PUSH, 7, 1, {1}, 1);
  repeat.request.set_incarnation(kPresent);
  shard.Exchange(repeat);
  CHECK(repeat.reply.version() == 1);
}

TEST_CASE("Who takes part is what was said last, whatever comes after it") {
  const MadeTrainer made = *MakeTrainer("downpour", {{"form", "delta"}}, {});
  HostedShard shard(0, Flat(1), 0, RulesOf(*made.trainer));
  RecordedCall init(Request::INITIALIZE, 7, 0, {8});
  shard.Exchange(init);
  for (const uint64_t sequence : {1, 2}) {
    RecordedCall push(Request::PUSH, 7, 0, {1}, sequence);
    shard.Exchange(push);
  }
  shard.SetLive({0, 1}, 2);
  shard.SetLive({0}, 1);  // said before, by a slower thread
  RecordedCall ahead(Request::PULL, 7, 0);
  ahead.request.set_max_lead(1);
  shard.Exchange(ahead);
  CHECK_FALSE(ahead.finished());
  shard.SetLive({0}, 3);
  CHECK(ahead.finished());
}

TEST_CASE("A repeated Join brings nobody back to life") {
  RunningJob job;
  REQUIRE(End(job.server, 0, pb::DONE).ok());
  REQUIRE(End(job.server, 1, pb::DONE).ok());
  REQUIRE(TryJoin(job.server, JoinAs(1, DeltaJob(2))).ok());
  CHECK(MemberReport(job.server, 1).state() == pb::DONE);
  pb::JobStatus status;
  REQUIRE(job.server.GetJob({}, status).ok());
  CHECK(status.over());
}

TEST_CASE("A report that comes late takes nothing back") {
  RunningJob job;
  Server& server = job.server;
  REQUIRE(Say(server, pb::RUNNING, false, 20).ok());
  REQUIRE(Say(server, pb::RUNNING, false, 10).ok());
  CHECK(MemberReport(server, 1).steps() == 20);
  REQUIRE(Say(server, pb::DONE, true, 30).ok());
  REQUIRE(Say(server, pb::RUNNING, false, 30).ok());
  CHECK(MemberReport(server, 1).state() == pb::DONE);
  REQUIRE(Say(server, pb::DONE, false, 30).ok());
  REQUIRE(Say(server, pb::DONE, true, 30).ok());
  CHECK_FALSE(MemberReport(server, 1).keeps_job());
}

TEST_CASE("A late Join starts no job again that has ended") {
  RunningJob job(1);
  REQUIRE(End(job.server, 0, pb::DONE).ok());
  REQUIRE(TryJoin(job.server, JoinAs(0, DeltaJob(1), 8)).ok());
  job.clock.now += 2 * ServerOptions().lease;
  const absl::Status late = TryJoin(job.server, JoinAs(0, DeltaJob(1), 7));
  REQUIRE(absl::IsFailedPrecondition(late));
  CHECK_THAT(std::string(late.message()), Contains("job 7 has ended"));
  pb::JobStatus status;
  REQUIRE(job.server.GetJob({}, status).ok());
  CHECK(status.job_id() == 8);
}

// A sign of life of a worker.
void Beat(Server& server, int worker) {
  pb::ReportRequest request;
  request.set_job_id(7);
  request.set_worker(worker);
  request.set_incarnation(static_cast<uint64_t>(worker) + 100);
  pb::ReportReply reply;
  REQUIRE(server.Report(request, reply).ok());
}

TEST_CASE("A worker that falls silent holds nobody back beyond its lease") {
  HandClock clock;
  Server server(clock);
  pb::JobSpec spec = DeltaJob(3);
  spec.set_trainer("local_sgd");
  spec.clear_hyper();
  for (int worker = 0; worker < 3; ++worker) {
    REQUIRE(TryJoin(server, JoinAs(worker, spec)).ok());
  }
  RecordedCall init(Request::INITIALIZE, 7, 0, {0, 0, 0});
  init.request.set_incarnation(100);
  server.Exchange(init);
  const auto push = [](RecordedCall& call, int worker, uint64_t version) {
    call.request.set_incarnation(static_cast<uint64_t>(worker) + 100);
    call.request.set_rounds(1);
    call.request.set_base_version(static_cast<int64_t>(version));
  };
  RecordedCall first(Request::PUSH_PULL, 7, 0, {4, 4, 4}, 1);
  RecordedCall second(Request::PUSH_PULL, 7, 1, {8, 8, 8}, 1);
  push(first, 0, 0);
  push(second, 1, 0);
  server.Exchange(first);
  server.Exchange(second);
  clock.now += absl::Seconds(6);
  Beat(server, 0);
  Beat(server, 1);
  CHECK_FALSE(first.finished());  // worker 2 may still come
  clock.now += absl::Seconds(5);
  Beat(server, 1);  // 11 s without worker 2; the lease is 10
  REQUIRE(first.finished());
  REQUIRE(second.finished());
  CHECK(first.reply_values == std::vector<float>{6, 6, 6});
  // It was only slow: its push is of a past round, and it takes part again.
  RecordedCall late(Request::PUSH_PULL, 7, 2, {100, 100, 100}, 1);
  push(late, 2, 0);
  server.Exchange(late);
  REQUIRE(late.finished());
  CHECK(late.reply.refused());
  CHECK(late.reply_values == std::vector<float>{6, 6, 6});
  RecordedCall next(Request::PUSH_PULL, 7, 0, {1, 1, 1}, 2);
  push(next, 0, 1);
  server.Exchange(next);
  RecordedCall other(Request::PUSH_PULL, 7, 1, {1, 1, 1}, 2);
  push(other, 1, 1);
  server.Exchange(other);
  CHECK_FALSE(next.finished());
  RecordedCall third(Request::PUSH_PULL, 7, 2, {4, 4, 4}, 2);
  push(third, 2, 1);
  server.Exchange(third);
  REQUIRE(next.finished());
  CHECK(third.reply_values == std::vector<float>{8, 8, 8});
}

TEST_CASE("A push of who is gone does not take a living worker's place") {
  const MadeTrainer made = *MakeTrainer("local_sgd", {}, {});
  HostedShard shard(0, Flat(1), 0, RulesOf(*made.trainer));
  RecordedCall init(Request::INITIALIZE, 7, 0, {0});
  shard.Exchange(init);
  shard.SetLive({0, 1, 2});
  const auto push = [&](int worker, float value) {
    RecordedCall call(Request::PUSH, 7, worker, {value}, 1);
    shard.Exchange(call);
    CHECK_FALSE(call.reply.refused());
    return call.reply.version();
  };
  CHECK(push(2, 3) == 0);
  shard.SetLive({0, 1});  // 2 has died, its push stays
  CHECK(push(0, 6) == 0);
  CHECK(push(1, 9) == 1);
  RecordedCall pull(Request::PULL, 7, -1);
  shard.Exchange(pull);
  CHECK(pull.reply_values == std::vector<float>{6});
}

TEST_CASE("A worker pushes once into a round that waits for others") {
  const MadeTrainer made = *MakeTrainer("local_sgd", {}, {});
  HostedShard shard(0, Flat(1), 0, RulesOf(*made.trainer));
  RecordedCall init(Request::INITIALIZE, 7, 0, {0});
  shard.Exchange(init);
  shard.SetLive({0, 1});
  const auto push = [&](int worker, float value, uint64_t sequence) {
    RecordedCall call(Request::PUSH, 7, worker, {value}, sequence);
    shard.Exchange(call);
    return *call.status;
  };
  CHECK(push(0, 2, 1).ok());
  CHECK(push(0, 2, 1).ok());  // its repeat
  const absl::Status second = push(0, 50, 2);
  CHECK(absl::IsFailedPrecondition(second));
  CHECK_THAT(std::string(second.message()),
             Catch::Contains("worker 0, shard 0: a second push in round 0"));
  CHECK(push(1, 4, 1).ok());
  RecordedCall pull(Request::PULL, 7, 0);
  shard.Exchange(pull);
  CHECK(pull.reply_values == std::vector<float>{3});
  CHECK(push(0, 1, 2).ok());  // of the next
}

TEST_CASE("A worker cannot grow the histogram of staleness without end") {
  const MadeTrainer made = *MakeTrainer("downpour", {{"form", "delta"}}, {});
  HostedShard shard(0, Flat(1), 0, RulesOf(*made.trainer));
  RecordedCall init(Request::INITIALIZE, 7, 0, {0});
  shard.Exchange(init);
  for (uint64_t i = 1; i <= 5000; ++i) {
    RecordedCall push(Request::PUSH, 7, 0, {1}, i);
    push.request.set_base_version(0);  // i - 1 rounds ago
    shard.Exchange(push);
    REQUIRE(push.status == absl::OkStatus());
  }
  const auto histogram = shard.counters().staleness;
  CHECK(histogram.size() == 4097);
  CHECK(histogram.at(4095) == 1);
  CHECK(histogram.at(4096) == 5000 - 4096);
}

TEST_CASE("Asking for a result that nobody handed in makes none") {
  const MadeTrainer made = *MakeTrainer("ensemble", {}, {});
  HostedShard shard(0, Flat(1), 0, RulesOf(*made.trainer));
  RecordedCall init(Request::INITIALIZE, 7, 0, {0});
  shard.Exchange(init);
  RecordedCall push(Request::PUSH, 7, 1, {5}, 1);
  shard.Exchange(push);
  const auto ask = [&](int worker) {
    RecordedCall pull(Request::PULL, 7, -1);
    pull.request.set_result_of(worker);
    shard.Exchange(pull);
    REQUIRE(pull.finished());
    return std::pair(*pull.status, pull.reply_values);
  };
  CHECK(ask(1).second == std::vector<float>{5});
  Writer before, after;
  shard.Save(before);
  for (const int worker : {0, 2, 1 << 30}) {
    CHECK(absl::IsNotFound(ask(worker).first));
  }
  shard.Save(after);
  CHECK(before.bytes() == after.bytes());
}

TEST_CASE("A round has the same mean in whatever order its pushes come") {
  const std::vector<int> order =
      GENERATE(std::vector<int>{0, 1, 2}, std::vector<int>{2, 0, 1},
               std::vector<int>{1, 2, 0});
  const MadeTrainer made = *MakeTrainer("local_sgd", {}, {});
  HostedShard shard(0, Flat(1), 0, RulesOf(*made.trainer));
  RecordedCall init(Request::INITIALIZE, 7, 0, {0});
  shard.Exchange(init);
  shard.SetLive({0, 1, 2});
  // 1 is lost beside 2^24, but not beside what is left when that is gone.
  const float values[] = {16777216, 1, -16777216};
  for (const int worker : order) {
    RecordedCall push(Request::PUSH, 7, worker, {values[worker]}, 1);
    shard.Exchange(push);
  }
  RecordedCall pull(Request::PULL, 7, -1);
  shard.Exchange(pull);
  CHECK(pull.reply_values == std::vector<float>{0});
}

}  // namespace
}  // namespace monsoon
