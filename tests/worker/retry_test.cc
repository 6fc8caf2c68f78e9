// SPDX-License-Identifier: Apache-2.0
// How a link tries again: pauses, budget, deadline, and what it says at the
// end.
#include <catch2/catch.hpp>
#include <functional>
#include <utility>
#include <vector>

#include "sim/virtual_clock.h"
#include "worker/backoff.h"
#include "worker/shard_link.h"

namespace monsoon {
namespace {

using Catch::Contains;

// Answers every exchange as a test says; what it says nothing to is parked.
class Scripted final : public ServerCalls {
 public:
  explicit Scripted(Clock& clock) : clock_(clock) {}

  absl::Status GetJob(const pb::GetJobRequest&, pb::JobStatus&) override {
    return absl::OkStatus();
  }
  absl::Status Join(const pb::JoinRequest&, pb::JoinReply&) override {
    return absl::OkStatus();
  }
  absl::Status Report(const pb::ReportRequest&, pb::ReportReply&) override {
    return absl::OkStatus();
  }
  void Exchange(ExchangeCall& call) override {
    times.push_back(clock_.Now());
    sequences.push_back(call.request.sequence());
    if (reply_size > 0) call.ReplyBuffer(reply_size);
    if (answer) {
      call.Finish(answer(), {});
    } else {
      parked.push_back(&call);
    }
  }
  // All that is parked, with a center of one float where that is OK.
  void EndParked(const absl::Status& status) {
    for (ExchangeCall* call : std::exchange(parked, {})) {
      if (status.ok()) call->ReplyBuffer(sizeof(float));
      call->Finish(status, {});
    }
  }
  void Cancel(ExchangeCall& call) override {
    std::erase(parked, &call);
    ++cancelled;
    call.Finish(absl::CancelledError("gave up waiting for the others"), {});
  }

  std::vector<absl::Duration> Pauses() const {
    std::vector<absl::Duration> pauses;
    for (size_t i = 1; i < times.size(); ++i) {
      pauses.push_back(times[i] - times[i - 1]);
    }
    return pauses;
  }

  std::function<absl::Status()> answer;
  std::vector<ExchangeCall*> parked;
  std::vector<absl::Time> times;
  std::vector<uint64_t> sequences;
  int cancelled = 0;
  size_t reply_size = 0;

 private:
  Clock& clock_;
};

absl::Status Gone() { return absl::UnavailableError("connection refused"); }

// One push of worker 1 to one shard, and what came of it.
struct OnePush {
  explicit OnePush(std::function<absl::Status()> answer,
                   uint64_t incarnation = 5, int attempts = 100)
      : clock(absl::Hours(1)), server(clock) {
    server.answer = std::move(answer);
    clock.Run({[&] {
      ShardLink link({.servers = {&server},
                      .shards = {{.size = 1}},
                      .worker = 1,
                      .incarnation = incarnation,
                      .timeout = absl::Seconds(30),
                      .attempts = attempts},
                     clock);
      status = link.Push(Flat(1));
      pushes = link.counters().pushes;
    }});
    took = clock.Now() - absl::UnixEpoch();
  }
  VirtualClock clock;
  Scripted server;
  absl::Status status;
  absl::Duration took;
  int64_t pushes = 0;
};

TEST_CASE("The pauses between attempts grow, and differ between workers") {
  const std::vector<absl::Duration> pauses = OnePush(Gone).server.Pauses();
  REQUIRE(pauses.size() > 10);
  absl::Duration full = Backoff::kFirst;
  for (absl::Duration pause : pauses) {
    CHECK(pause >= full / 2);
    CHECK(pause < full + absl::Microseconds(1));
    full = std::min(2 * full, Backoff::kMost);
  }
  CHECK(pauses == OnePush(Gone).server.Pauses());
  CHECK(pauses != OnePush(Gone, /*incarnation=*/6).server.Pauses());
}

TEST_CASE("A link gives up at its deadline and says what it waited for") {
  const OnePush push(Gone);
  CHECK(push.took == absl::Seconds(30));
  REQUIRE(absl::IsUnavailable(push.status));
  const std::string message(push.status.message());
  CHECK_THAT(message, Contains("worker 1, shard 0 of server 0: push 1: no "
                               "answer for 30s after ") &&
                          Contains("attempts, expected one within 30s") &&
                          Contains("the last: connection refused"));
  CHECK_THAT(message,
             Contains(" " + std::to_string(push.server.times.size()) + " att"));
  CHECK(push.pushes == 0);
}

TEST_CASE("A link gives up when its attempts are used up") {
  const OnePush push(Gone, 5, /*attempts=*/4);
  CHECK(push.server.times.size() == 4);
  CHECK(push.took < absl::Seconds(1));
  CHECK_THAT(std::string(push.status.message()),
             Contains("after 4 attempts") && Contains("and 4 attempts"));
}

TEST_CASE("One deadline counts for all attempts and for all waits") {
  int attempts = 0;
  VirtualClock clock(absl::Hours(1));
  Scripted server(clock);
  server.answer = [&] {
    if (++attempts == 3) server.answer = nullptr;  // the next one is parked
    return Gone();
  };
  absl::Status status;
  clock.Run({[&] {
    ShardLink link({.servers = {&server},
                    .shards = {{.size = 1}},
                    .timeout = absl::Seconds(30),
                    .patience = absl::Minutes(20)},
                   clock);
    Flat center(1);
    status = link.Pull(center, {.rounds = 1});
  }});
  CHECK(clock.Now() == absl::UnixEpoch() + absl::Minutes(20));
  CHECK(server.times.size() == 4);
  CHECK(server.cancelled == 1);
  REQUIRE(absl::IsDeadlineExceeded(status));
  CHECK_THAT(std::string(status.message()),
             Contains("pull: no answer for 20m after 4 attempts") &&
                 Contains("gave up waiting for the others; see whether the "
                          "workers for which it waits still run"));
}

TEST_CASE("Who is asked to end waits no longer, for others or for a server") {
  const bool is_parked = GENERATE(true, false);
  VirtualClock clock(absl::Hours(1));
  Scripted server(clock);
  if (!is_parked) server.answer = Gone;
  bool is_asked = false;
  clock.After(absl::Seconds(20), [&] { is_asked = true; });
  absl::Status status;
  clock.Run({[&] {
    ShardLink link({.servers = {&server},
                    .shards = {{.size = 1}},
                    .timeout = absl::Seconds(30),
                    .interrupted =
                        [&] {
                          return is_asked ? absl::CancelledError("signal 2")
                                          : absl::OkStatus();
                        }},
                   clock);
    Flat center(1);
    status = link.Pull(center, {.rounds = 1});
  }});
  CHECK(status == absl::CancelledError("signal 2"));
  CHECK(server.cancelled == (is_parked ? 1 : 0));
  const absl::Duration took = clock.Now() - absl::UnixEpoch();
  CHECK(took >= absl::Seconds(20));
  CHECK(took <= absl::Seconds(20.2));
}

// Waits for others, with thirty seconds for a server that is gone.
absl::Status PullOfARound(Scripted& server, VirtualClock& clock) {
  ShardLink link({.servers = {&server},
                  .shards = {{.size = 1}},
                  .timeout = absl::Seconds(30)},
                 clock);
  Flat center(1);
  return link.Pull(center, {.rounds = 1});
}

TEST_CASE("A server that was reached for long may be lost once more") {
  VirtualClock clock(absl::Hours(2));
  Scripted server(clock);
  // Gone, back and parked for five minutes, gone, back for good.
  server.answer = Gone;
  absl::Status status;
  const auto script = [&](absl::Duration at, bool is_there) {
    clock.After(at, [&server, is_there] {
      server.answer = is_there ? nullptr : std::function<absl::Status()>(Gone);
      if (!is_there) server.EndParked(Gone());
    });
  };
  script(absl::Seconds(10), true);
  script(absl::Minutes(5), false);
  script(absl::Minutes(5) + absl::Seconds(10), true);
  clock.After(absl::Minutes(9), [&] { server.EndParked(absl::OkStatus()); });
  clock.Run({[&] { status = PullOfARound(server, clock); }});
  CHECK(status.ok());
  CHECK(clock.Now() == absl::UnixEpoch() + absl::Minutes(9));
}

TEST_CASE("Who waits for others has no patience with a server that is gone") {
  VirtualClock clock(absl::Hours(1));
  Scripted server(clock);
  server.answer = Gone;
  absl::Status status;
  clock.Run({[&] { status = PullOfARound(server, clock); }});
  CHECK(clock.Now() == absl::UnixEpoch() + absl::Seconds(30));
  CHECK(absl::IsUnavailable(status));
}

TEST_CASE("What is retried keeps its number and counts once") {
  int attempts = 0;
  const OnePush push(
      [&] { return ++attempts < 5 ? Gone() : absl::OkStatus(); });
  CHECK(push.status == absl::OkStatus());
  CHECK(push.server.sequences == std::vector<uint64_t>{1, 1, 1, 1, 1});
  CHECK(push.pushes == 1);
}

TEST_CASE("A reply without its values, or with too many, is no success") {
  for (const size_t size : {size_t{0}, size_t{2}}) {
    VirtualClock clock(absl::Hours(1));
    Scripted server(clock);
    server.reply_size = size;
    server.answer = [] { return absl::OkStatus(); };
    absl::Status status;
    clock.Run({[&] {
      ShardLink link({.servers = {&server}, .shards = {{.size = 1}}}, clock);
      Flat center(1);
      status = link.Pull(center);
    }});
    REQUIRE(absl::IsInternal(status));
    CHECK_THAT(std::string(status.message()),
               Contains("the reply has " + std::to_string(size) +
                        " bytes of values, expected 4"));
  }
}

TEST_CASE("A refusal is not retried, and not reworded") {
  const OnePush push(
      [] { return absl::InvalidArgumentError("value 3 is nan"); });
  CHECK(push.status == absl::InvalidArgumentError("value 3 is nan"));
  CHECK(push.server.times.size() == 1);
  CHECK(push.took == absl::ZeroDuration());
}

}  // namespace
}  // namespace monsoon
