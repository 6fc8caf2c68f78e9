// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/server/running_job.h"

namespace monsoon {
namespace {

using Catch::Contains;
using Request = pb::ExchangeRequest;

TEST_CASE(
    "A pull waits for the initial center, and only the first one counts") {
  HandClock clock;
  Server server(clock);
  REQUIRE(TryJoin(server, JoinAs(0, DeltaJob(1))).ok());
  RecordedCall pull(Request::PULL, 7, 0);
  server.Exchange(pull);
  CHECK_FALSE(pull.finished());
  RecordedCall first(Request::INITIALIZE, 7, 0, {1, 2, 3});
  RecordedCall second(Request::INITIALIZE, 7, 0, {9, 9, 9});
  server.Exchange(first);
  server.Exchange(second);
  REQUIRE(pull.status == absl::OkStatus());
  CHECK(pull.reply_values == std::vector<float>{1, 2, 3});
  CHECK(second.status == absl::OkStatus());
  RecordedCall again(Request::PULL, 7, 0);
  server.Exchange(again);
  CHECK(again.reply_values == std::vector<float>{1, 2, 3});
}

TEST_CASE("A push and pull is atomic and says version and staleness") {
  RunningJob job;
  for (int worker : {0, 1}) {
    RecordedCall pull(Request::PULL, 7, worker);
    job.server.Exchange(pull);
  }
  RecordedCall a(Request::PUSH_PULL, 7, 0, {1, 0, 0}, 1);
  job.server.Exchange(a);
  REQUIRE(a.status == absl::OkStatus());
  CHECK(a.reply_values == std::vector<float>{2, 2, 3});
  CHECK(a.reply.version() == 1);
  CHECK(a.reply.staleness() == 0);
  RecordedCall b(Request::PUSH_PULL, 7, 1, {0, 1, 0}, 1);
  job.server.Exchange(b);
  CHECK(b.reply_values == std::vector<float>{2, 3, 3});
  CHECK(b.reply.staleness() == 1);  // one round since its pull
}

TEST_CASE("A repeated push is answered, but applied once") {
  RunningJob job;
  for (int attempt = 0; attempt < 3; ++attempt) {
    RecordedCall push(Request::PUSH_PULL, 7, 0, {1, 1, 1}, 1);
    job.server.Exchange(push);
    REQUIRE(push.status == absl::OkStatus());
    CHECK(push.reply_values == std::vector<float>{2, 3, 4});
  }
  RecordedCall gap(Request::PUSH, 7, 0, {1, 1, 1}, 3);
  job.server.Exchange(gap);
  REQUIRE(absl::IsFailedPrecondition(*gap.status));
  CHECK_THAT(std::string(gap.status->message()), Contains("expected 2"));
  CHECK(job.Center() == std::vector<float>{2, 3, 4});
}

TEST_CASE("What answers a repeat is the worker's new base") {
  RunningJob job;
  RecordedCall first(Request::PUSH_PULL, 7, 0, {1, 1, 1}, 1);
  job.server.Exchange(first);
  RecordedCall other(Request::PUSH, 7, 1, {1, 1, 1}, 1);
  job.server.Exchange(other);
  RecordedCall repeat(Request::PUSH_PULL, 7, 0, {1, 1, 1}, 1);
  job.server.Exchange(repeat);
  CHECK(repeat.reply.version() == 2);
  CHECK(repeat.reply.staleness() == 0);  // of the push, as it was
  RecordedCall next(Request::PUSH, 7, 0, {1, 1, 1}, 2);
  job.server.Exchange(next);
  CHECK(next.reply.staleness() == 0);
}

TEST_CASE("A bad push is refused with worker and shard, and changes nothing") {
  RunningJob job;
  const float nan = std::nanf("");
  const float infinity = std::numeric_limits<float>::infinity();
  struct Case {
    std::vector<float> values;
    std::string found;
  };
  const std::vector<Case> cases = {
      {{1, 2}, "8 bytes, expected 12 for 3 floats"},
      {{1, 2, 3, 4}, "16 bytes, expected 12"},
      {{}, "0 bytes, expected 12"},
      {{1, nan, 3}, "value 1 of the update is nan"},
      {{1, 2, -infinity}, "value 2"}};
  for (const Case& bad : cases) {
    RecordedCall push(Request::PUSH_PULL, 7, 1, bad.values, 1);
    job.server.Exchange(push);
    REQUIRE(absl::IsInvalidArgument(*push.status));
    CHECK_THAT(std::string(push.status->message()),
               Contains("worker 1, shard 0") && Contains(bad.found));
  }
  RecordedCall unknown(Request::PULL, 7, 1);
  unknown.request.set_shard(5);
  job.server.Exchange(unknown);
  CHECK(absl::IsNotFound(*unknown.status));
  CHECK_THAT(std::string(unknown.status->message()),
             Contains("worker 1") && Contains("shard 5"));
  for (float weight : {0.0f, -1.0f, nan, infinity}) {
    RecordedCall push(Request::PUSH, 7, 1, {1, 1, 1}, 1);
    push.request.set_weight(weight);
    job.server.Exchange(push);
    CHECK(absl::IsInvalidArgument(*push.status));
  }
  for (int64_t count : {int64_t{-1}, std::numeric_limits<int64_t>::max()}) {
    RecordedCall pull(Request::PULL, 7, 1);
    pull.request.set_rounds(count);
    job.server.Exchange(pull);
    CHECK(absl::IsInvalidArgument(*pull.status));
  }
  for (int64_t base : {-1, 1}) {  // the center has had no other than 0
    RecordedCall push(Request::PUSH, 7, 1, {1, 1, 1}, 1);
    push.request.set_base_version(base);
    job.server.Exchange(push);
    CHECK(absl::IsInvalidArgument(*push.status));
    CHECK_THAT(std::string(push.status->message()),
               Contains(absl::StrCat("version ", base)) &&
                   Contains("expected 0 to 0"));
  }
  RecordedCall kind(static_cast<Request::Kind>(77), 7, 1);
  job.server.Exchange(kind);
  CHECK(absl::IsInvalidArgument(*kind.status));
  CHECK(job.Center() == std::vector<float>{1, 2, 3});
  RecordedCall good(Request::PUSH, 7, 1, {1, 1, 1}, 1);
  job.server.Exchange(good);
  CHECK(good.status == absl::OkStatus());
}

TEST_CASE("Strangers, past selves and other jobs are refused") {
  RunningJob job;
  RecordedCall stranger(Request::PULL, 7, 4);
  job.server.Exchange(stranger);
  CHECK(absl::IsFailedPrecondition(*stranger.status));
  RecordedCall past(Request::PUSH, 7, 1, {1, 1, 1}, 1);
  past.request.set_incarnation(5);
  job.server.Exchange(past);
  CHECK(absl::IsFailedPrecondition(*past.status));
  RecordedCall other(Request::PULL, 8, 1);
  job.server.Exchange(other);
  CHECK(absl::IsFailedPrecondition(*other.status));
  RecordedCall observer_push(Request::PUSH, 7, -1, {1, 1, 1}, 1);
  job.server.Exchange(observer_push);
  CHECK(absl::IsFailedPrecondition(*observer_push.status));
  CHECK(job.Center() == std::vector<float>{1, 2, 3});
}

TEST_CASE("A rank is taken while its worker lives, and free again afterwards") {
  RunningJob job;
  pb::JoinRequest twin = JoinAs(1, DeltaJob(2));
  twin.set_incarnation(555);
  const absl::Status refused = TryJoin(job.server, twin);
  REQUIRE(absl::IsAlreadyExists(refused));
  CHECK_THAT(std::string(refused.message()), Contains("rank 1"));
  job.clock.now += ServerOptions().lease + absl::Seconds(1);
  CHECK(TryJoin(job.server, twin).ok());
  RecordedCall zombie(Request::PULL, 7, 1);
  job.server.Exchange(zombie);
  CHECK_THAT(std::string(zombie.status->message()),
             Contains("replaced by a newer process"));
}

TEST_CASE("A report without a report is a sign of life and nothing else") {
  RunningJob job;
  pb::ReportRequest request;
  request.set_job_id(7);
  request.set_worker(1);
  request.set_incarnation(101);
  request.mutable_report()->set_samples(55);
  pb::ReportReply reply;
  REQUIRE(job.server.Report(request, reply).ok());
  request.clear_report();
  pb::JoinRequest twin = JoinAs(1, DeltaJob(2));
  twin.set_incarnation(555);
  const absl::Duration lease = ServerOptions().lease;
  for (int i = 0; i < 3; ++i) {
    job.clock.now += lease - absl::Seconds(1);
    REQUIRE(job.server.Report(request, reply).ok());
    CHECK(reply.stop().empty());
  }
  job.clock.now += lease - absl::Seconds(1);
  CHECK(absl::IsAlreadyExists(TryJoin(job.server, twin)));
  pb::JobStatus status;
  REQUIRE(job.server.GetJob({}, status).ok());
  CHECK(status.lease_s() == 10);
  CHECK(status.members(1).report().samples() == 55);
  CHECK(status.members(1).silent_s() == 9);
  REQUIRE(End(job.server, 0, pb::FAILED, "no memory").ok());
  REQUIRE(job.server.Report(request, reply).ok());
  CHECK_THAT(reply.stop(), Contains("no memory"));
}

TEST_CASE("What another worker brings is compared key by key") {
  RunningJob job(3);
  struct Case {
    std::function<void(pb::JobSpec&)> change;
    std::string key;
  };
  const std::vector<Case> cases = {
      {[](auto& s) { (*s.mutable_settings())["model"] = "cnn"; }, "model"},
      {[](auto& s) { s.set_trainer("adag"); }, "trainer"},
      {[](auto& s) { (*s.mutable_hyper())["form"] = "gradient"; }, "form"},
      {[](auto& s) { s.mutable_tensors(0)->set_shape(0, 4); }, "tensor x"},
      {[](auto& s) { s.set_data_hash("other"); }, "data hash"},
      {[](auto& s) { s.set_workers(4); }, "workers"},
  };
  for (const Case& c : cases) {
    pb::JobSpec spec = DeltaJob(3);
    c.change(spec);
    const absl::Status refused = TryJoin(job.server, JoinAs(2, spec));
    REQUIRE(absl::IsFailedPrecondition(refused));
    CHECK_THAT(std::string(refused.message()), Contains(c.key));
  }
}

TEST_CASE("A job that cannot be is refused before anything is made") {
  HandClock clock;
  Server server(clock, {.max_bytes = 1024});
  struct Case {
    std::function<void(pb::JoinRequest&)> change;
    std::string found;
  };
  const std::vector<Case> cases = {
      {[](auto& r) { r.mutable_spec()->set_trainer("adga"); }, "adag"},
      {[](auto& r) { r.mutable_spec()->clear_tensors(); }, "no tensors"},
      {[](auto& r) { r.mutable_spec()->mutable_tensors(0)->set_shape(0, -3); },
       "extent of -3"},
      {[](auto& r) {
         r.mutable_spec()->mutable_tensors(0)->set_shape(
             0, std::numeric_limits<int64_t>::max());
       },
       "extent of"},
      {[](auto& r) { r.mutable_spec()->mutable_shards(0)->set_size(2); },
       "end at"},
      {[](auto& r) {
         r.mutable_spec()->mutable_tensors(0)->set_shape(0, (1 << 20) + 1);
         r.mutable_spec()->mutable_shards(0)->set_size((1 << 20) + 1);
       },
       "shard 0 has 1048577 floats; expected 1 to 1048576"},
      {[](auto& r) { r.mutable_spec()->mutable_shards(0)->set_server(9); },
       "server 9"},
      {[](auto& r) { r.mutable_spec()->set_workers(0); }, "0 workers"},
      {[](auto& r) { r.set_server_index(3); }, "index 3"},
      {[](auto& r) { r.set_incarnation(0); }, "incarnation"},
      {[](auto& r) {
         r.mutable_spec()->mutable_tensors(0)->set_shape(0, 300);
         r.mutable_spec()->mutable_shards(0)->set_size(300);
       },
       "1200 bytes"},
      {[](auto& r) { (*r.mutable_spec()->mutable_hyper())["window"] = "x"; },
       "window"},
  };
  for (const Case& c : cases) {
    pb::JoinRequest request = JoinAs(0, DeltaJob(1));
    c.change(request);
    const absl::Status refused = TryJoin(server, request);
    INFO(refused.ToString());
    REQUIRE_FALSE(refused.ok());
    CHECK_THAT(std::string(refused.message()), Contains(c.found));
    pb::JobStatus status;
    CHECK(absl::IsNotFound(server.GetJob({}, status)));
  }
}

TEST_CASE("When a worker fails, the others learn why at once") {
  RunningJob job;
  RecordedCall waits(Request::PULL, 7, 0);
  waits.request.set_rounds(1);
  job.server.Exchange(waits);
  REQUIRE_FALSE(waits.finished());
  REQUIRE(End(job.server, 1, pb::DIVERGED, "the loss is nan").ok());
  REQUIRE(waits.finished());
  CHECK(absl::IsAborted(*waits.status));
  RecordedCall push(Request::PUSH, 7, 0, {1, 1, 1}, 1);
  job.server.Exchange(push);
  REQUIRE(absl::IsAborted(*push.status));
  CHECK_THAT(std::string(push.status->message()),
             Contains("worker 1") && Contains("the loss is nan"));
  CHECK(job.Center() == std::vector<float>{1, 2, 3});  // observers go on
  pb::JobStatus status;
  REQUIRE(job.server.GetJob({}, status).ok());
  CHECK(status.stop_state() == pb::DIVERGED);
}

TEST_CASE("Who is done and keeps the job may still be interrupted") {
  for (const bool keeps : {true, false}) {
    RunningJob job;
    pb::ReportRequest request;
    request.set_job_id(7);
    request.set_worker(0);
    request.set_incarnation(100);
    request.mutable_report()->set_state(pb::DONE);
    request.mutable_report()->set_keeps_job(keeps);
    pb::ReportReply reply;
    REQUIRE(job.server.Report(request, reply).ok());
    CHECK(reply.stop().empty());
    request.mutable_report()->set_state(pb::INTERRUPTED);
    request.mutable_report()->set_message("interrupted by signal 2");
    REQUIRE(job.server.Report(request, reply).ok());
    pb::JobStatus status;
    REQUIRE(job.server.GetJob({}, status).ok());
    RecordedCall push(Request::PUSH, 7, 1, {1, 1, 1}, 1);
    job.server.Exchange(push);
    if (keeps) {
      CHECK(status.stop_state() == pb::INTERRUPTED);
      CHECK_THAT(reply.stop(), Contains("worker 0: interrupted by signal 2"));
      CHECK(absl::IsAborted(*push.status));
    } else {  // it has left: the others go on
      CHECK(status.stop_state() == pb::RUNNING);
      CHECK(push.status == absl::OkStatus());
    }
  }
}

TEST_CASE("The next job comes when every worker of the last has ended") {
  RunningJob job;
  CHECK_FALSE(TryJoin(job.server, JoinAs(0, DeltaJob(2), 8)).ok());
  REQUIRE(End(job.server, 0, pb::DONE).ok());
  CHECK_FALSE(TryJoin(job.server, JoinAs(0, DeltaJob(2), 8)).ok());
  REQUIRE(End(job.server, 1, pb::DONE).ok());
  CHECK(job.Center() == std::vector<float>{1, 2, 3});
  RecordedCall waits(Request::PULL, 7, -1);
  waits.request.set_rounds(1);
  job.server.Exchange(waits);
  REQUIRE_FALSE(waits.finished());
  CHECK(TryJoin(job.server, JoinAs(0, DeltaJob(2), 8)).ok());
  REQUIRE(waits.finished());  // nobody waits for a job that is gone
  CHECK(absl::IsAborted(*waits.status));
}

}  // namespace
}  // namespace monsoon
