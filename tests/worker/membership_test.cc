// SPDX-License-Identifier: Apache-2.0
// Signs of life, progress, and the end of a job, with servers that lose calls.
#include "worker/membership.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <optional>
#include <thread>

#include "base/filesystem.h"
#include "base/status_macros.h"
#include "server/server.h"
#include "tests/worker/local_job.h"
#include "transport/forwarding.h"
#include "transport/grpc_client.h"
#include "worker/shard_link.h"

namespace monsoon {
namespace {

const std::atomic<int> kNoStop{0};
constexpr absl::Duration kShortLease = absl::Milliseconds(300);

void Pause(absl::Duration time) {
  RealClock().NewEvent()->Wait(RealClock().Now() + time);
}

Options TinyJob() {
  Options options;
  options.trainer = "adag";
  options.model = "mlp:8";
  options.workers = 2;
  options.batch_size = 50;
  options.epochs = 2;
  options.lr = 0.04;
  options.connect_timeout = absl::Seconds(20);
  return options;
}

// Counts what comes, and may keep back or lose some of it.
class Watched final : public ForwardingCalls {
 public:
  explicit Watched(absl::Duration lease)
      : Watched(std::make_unique<Server>(RealClock(),
                                         ServerOptions{.lease = lease})) {}

  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override {
    const bool progress = request.has_report() &&
                          request.report().state() == pb::RUNNING &&
                          request.report().samples() > 0;
    if (progress) ++progress_reports;
    if (!request.has_report()) ++signs_of_life;
    if (progress && loses_progress) return absl::UnavailableError("lost");
    return ForwardingCalls::Report(request, reply);
  }
  void Exchange(ExchangeCall& call) override {
    const bool first_push =
        call.request.worker() == slow_worker && call.request.sequence() == 1;
    if (first_push) Pause(push_takes);
    ForwardingCalls::Exchange(call);
  }

  int slow_worker = 1;
  absl::Duration push_takes;
  bool loses_progress = false;
  std::atomic<int> progress_reports = 0;
  std::atomic<int> signs_of_life = 0;

 private:
  explicit Watched(std::unique_ptr<Server> server)
      : ForwardingCalls(*server), server_(std::move(server)) {}

  const std::unique_ptr<Server> server_;
};

TEST_CASE("A heartbeat tells every server which worker lives, until it ends") {
  Watched first(kShortLease), second(kShortLease);
  pb::ReportRequest who;
  who.set_job_id(5);
  std::optional<Heartbeat> heartbeat;
  heartbeat.emplace(std::vector<ServerCalls*>{&first, &second}, who,
                    absl::Milliseconds(5), RealClock());
  // The servers know no such job, which is nobody's business here.
  while (second.signs_of_life < 3) Pause(absl::Milliseconds(1));
  CHECK(first.signs_of_life >= 3);
  heartbeat.reset();
  const int sent = second.signs_of_life;
  Pause(absl::Milliseconds(30));
  CHECK(second.signs_of_life == sent);
}

TEST_CASE("A step that takes longer than the lease is no death") {
  const Dataset data = SmallFashionMnist(1000);
  Watched first(kShortLease), second(kShortLease);
  first.push_takes = second.push_takes = 4 * kShortLease;
  const auto outcomes =
      RunLocalJob(TinyJob(), {&first, &second}, data, kNoStop);
  INFO(outcomes[0].status());
  REQUIRE(outcomes[0].ok());
  CHECK(outcomes[0]->status.stop_state() == pb::RUNNING);
  for (const pb::Member& member : outcomes[0]->status.members()) {
    CHECK(member.report().state() == pb::DONE);
  }
  // Progress is the first server's alone, signs of life everybody's.
  CHECK(first.progress_reports > 0);
  CHECK(second.progress_reports == 0);
  CHECK(second.signs_of_life > 3);
}

TEST_CASE(
    "A worker that waits for others longer than the lease keeps its job") {
  Watched server(kShortLease);
  const Dataset data = SmallFashionMnist(1000);
  std::atomic<int> stop{0};
  std::thread first([&] {
    WorkerEnvironment environment{.clock = RealClock(),
                                  .files = RealFileSystem(),
                                  .servers = {&server},
                                  .stop = stop,
                                  .started = RealClock().Now(),
                                  .job_id = 1,
                                  .incarnation = 1,
                                  .train = &data};
    const auto outcome = RunWorker(TinyJob(), 0, environment);
    CHECK(outcome.ok());
    if (!outcome.ok()) return;
    CHECK(outcome->status.stop_state() == pb::INTERRUPTED);
  });
  pb::JobStatus status;
  while (!server.GetJob({}, status).ok()) Pause(absl::Milliseconds(5));
  Pause(3 * kShortLease);
  CHECK(server.GetJob({}, status).ok());
  CHECK_FALSE(status.over());
  pb::JoinRequest next;
  next.set_job_id(2);
  next.set_incarnation(9);
  *next.mutable_spec() = status.spec();
  pb::JoinReply reply;
  CHECK(absl::IsAlreadyExists(server.Join(next, reply)));
  stop = 2;
  first.join();
}

TEST_CASE("A worker that waits for others in a round hears a signal") {
  const bool overlaps = GENERATE(false, true);
  const Dataset data = SmallFashionMnist(1000);
  Watched server(absl::Seconds(10));
  server.slow_worker = 0;
  server.push_takes = absl::Seconds(4);
  std::atomic<int> stops[2] = {0, 0};
  const auto run = [&](int rank) {
    Options options = TinyJob();
    options.trainer = overlaps ? "adag" : "sync";
    if (overlaps) options.set = {{"window", "1"}};
    options.max_lead = overlaps ? 0 : -1;
    options.overlap = overlaps;
    WorkerEnvironment environment{.clock = RealClock(),
                                  .files = RealFileSystem(),
                                  .servers = {&server},
                                  .stop = stops[rank],
                                  .started = RealClock().Now(),
                                  .job_id = 1,
                                  .incarnation = uint64_t(rank) + 1,
                                  .train = &data};
    return RunWorker(options, rank, environment);
  };
  std::thread slow([&] { run(0).IgnoreError(); });
  absl::Duration took;
  absl::StatusOr<JobOutcome> outcome = absl::UnknownError("");
  std::thread waiting([&] {
    outcome = run(1);
    took = RealClock().Now() - absl::UnixEpoch();
  });
  Pause(absl::Seconds(1.5));
  const absl::Duration asked = RealClock().Now() - absl::UnixEpoch();
  stops[1] = 15;
  waiting.join();
  CHECK(took - asked < absl::Seconds(2));  // the push takes longer
  INFO(outcome.status());
  CHECK(outcome.ok());
  if (outcome.ok()) CHECK(outcome->status.stop_state() == pb::INTERRUPTED);
  slow.join();
}

TEST_CASE("Lost reports of progress end no training") {
  const Dataset data = SmallFashionMnist(1000);
  Watched server(absl::Seconds(10));
  server.loses_progress = true;
  const auto outcomes = RunLocalJob(TinyJob(), {&server}, data, kNoStop);
  INFO(outcomes[0].status());
  REQUIRE(outcomes[0].ok());
  CHECK(server.progress_reports > 0);
  CHECK(outcomes[0]->status.stop_state() == pb::RUNNING);
}

// Answers a few calls of each kind, and loses those answers.
class Forgetful final : public ForwardingCalls {
 public:
  explicit Forgetful(ServerCalls& next) : ForwardingCalls(next) {}

  absl::Status GetJob(const pb::GetJobRequest& request,
                      pb::JobStatus& reply) override {
    return Lose(jobs, ForwardingCalls::GetJob(request, reply));
  }
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override {
    return Lose(joins, ForwardingCalls::Join(request, reply));
  }
  absl::Status Report(const pb::ReportRequest& request,
                      pb::ReportReply& reply) override {
    const absl::Status status = ForwardingCalls::Report(request, reply);
    return request.has_report() ? Lose(reports, status) : status;
  }

  std::atomic<int> jobs = 0, joins = 0, reports = 0;

 private:
  static absl::Status Lose(std::atomic<int>& calls,
                           const absl::Status& status) {
    return ++calls <= 2 ? absl::UnavailableError("lost") : status;
  }
};

TEST_CASE("Answers that are lost while a worker joins are asked for again") {
  const Dataset data = SmallFashionMnist(1000);
  Server server(RealClock());
  Forgetful forgetful(server);
  const auto outcomes = RunLocalJob(TinyJob(), {&forgetful}, data, kNoStop);
  INFO(outcomes[0].status());
  CHECK(outcomes[0].ok());
  CHECK(outcomes[1].ok());
  CHECK(forgetful.joins >= 4);
}

TEST_CASE("A server that cannot be joined is named when the time is over") {
  const Dataset data = SmallFashionMnist(1000);
  Server server(RealClock());
  Forgetful forgetful(server);
  forgetful.joins = -1'000'000;
  Options options = TinyJob();
  options.connect_timeout = absl::Milliseconds(300);
  const auto outcomes = RunLocalJob(options, {&forgetful}, data, kNoStop);
  REQUIRE(absl::IsUnavailable(outcomes[0].status()));
  CHECK_THAT(std::string(outcomes[0].status().message()),
             Catch::StartsWith("lost; waited ") &&
                 Catch::EndsWith(" (--connect-timeout)"));
  // Twice as long a pause each time: no storm.
  CHECK(forgetful.joins + 1'000'000 < 12);
}

TEST_CASE("Only what a later attempt may mend counts as lost") {
  CHECK(IsLost(absl::UnavailableError("")));
  CHECK(IsLost(absl::DeadlineExceededError("")));
  CHECK_FALSE(IsLost(absl::OkStatus()));
  CHECK_FALSE(IsLost(absl::AbortedError("")));
  CHECK_FALSE(IsLost(absl::FailedPreconditionError("")));
}

WorkerEnvironment EnvironmentOf(std::vector<ServerCalls*> servers) {
  return {.clock = RealClock(),
          .files = RealFileSystem(),
          .servers = std::move(servers),
          .stop = kNoStop,
          .started = RealClock().Now(),
          .job_id = 7,
          .incarnation = 5};
}

// Of one worker and three parameters, all on the first server.
pb::JobSpec SmallSpec(int servers) {
  pb::JobSpec spec;
  spec.set_trainer("adag");
  pb::Tensor& tensor = *spec.add_tensors();
  tensor.set_name("x");
  tensor.add_shape(3);
  spec.add_shards()->set_size(3);
  spec.set_servers(servers);
  spec.set_workers(1);
  return spec;
}

// Shows nobody at first.
class LateServer final : public ForwardingCalls {
 public:
  explicit LateServer(Server& next) : ForwardingCalls(next) {}
  absl::Status GetJob(const pb::GetJobRequest& request,
                      pb::JobStatus& reply) override {
    const absl::Status status = ForwardingCalls::GetJob(request, reply);
    if (++asked <= 3) reply.clear_members();
    return status;
  }
  int asked = 0;
};

TEST_CASE("A job begins when every server has all of its workers") {
  Server first(RealClock()), second(RealClock());
  LateServer late(second);
  WorkerEnvironment environment = EnvironmentOf({&first, &late});
  Membership membership(0, absl::Seconds(20), environment);
  REQUIRE(membership.Join(SmallSpec(2)) == absl::OkStatus());
  CHECK(membership.AwaitAll(1) == absl::OkStatus());
  CHECK(late.asked == 4);
}

TEST_CASE("A wait for others ends before gRPC ends the call") {
  CHECK(ShardLink::Config{}.patience < kExchangeDeadline);
}

// Of a version that knows no wire codes: it leaves out what it cannot read.
class OldServer final : public ForwardingCalls {
 public:
  explicit OldServer(Server& next) : ForwardingCalls(next) {}
  absl::Status Join(const pb::JoinRequest& request,
                    pb::JoinReply& reply) override {
    pb::JoinRequest known = request;
    known.mutable_spec()->clear_push_code();
    known.mutable_spec()->clear_reply_code();
    RETURN_IF_ERROR(ForwardingCalls::Join(known, reply));
    reply.clear_push_code();
    reply.clear_reply_code();
    return absl::OkStatus();
  }
};

TEST_CASE("A server that does not know the job's wire codes is named") {
  const std::string wire = GENERATE(as<std::string>(), "bf16", "fp32");
  Server server(RealClock());
  OldServer old(server);
  WorkerEnvironment environment = EnvironmentOf({&old});
  pb::JobSpec spec = SmallSpec(1);
  spec.set_push_code(wire);
  spec.set_reply_code("fp32");
  Membership membership(0, absl::Seconds(5), environment);
  const absl::Status joined = membership.Join(spec);
  if (wire == "fp32") {
    CHECK(joined == absl::OkStatus());
    return;
  }
  CHECK(absl::IsFailedPrecondition(joined));
  CHECK_THAT(std::string(joined.message()),
             Catch::Contains("server 0 takes wire codes fp32,fp32, this job "
                             "has bf16,fp32 (--wire)"));
}

}  // namespace
}  // namespace monsoon
