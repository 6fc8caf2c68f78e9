// SPDX-License-Identifier: Apache-2.0
// Rounds of several pushes, waiting pulls and saved state, with a trainer that
// needs them.
#include <catch2/catch.hpp>

#include "server/hosted_shard.h"
#include "tests/server/recorded_call.h"
#include "tests/server/running_job.h"

namespace monsoon {
namespace {

using Request = pb::ExchangeRequest;

// Synchronous: a round is one push of every living worker; what was computed
// from an older round is refused.
class Rounds final : public Trainer {
 public:
  Traits traits() const override {
    return {.synchronous = true, .keeps_seen = true};
  }
  absl::Status Exchange(Replica&, Link&) const override {
    return absl::OkStatus();
  }
  int Quorum(int64_t, absl::Span<const int> live) const override {
    return static_cast<int>(live.size());
  }
  float Discount(const Update& update) const override {
    return update.staleness == 0 ? 1.0f : 0.0f;
  }
};

struct Fixture {
  Fixture() : shard(0, Flat(1), 0, RulesOf(trainer)) {
    RecordedCall init(Request::INITIALIZE, 7, 0, {8});
    shard.Exchange(init);
  }
  Rounds trainer;
  HostedShard shard;
};

TEST_CASE("A round closes with its last push and carries the weighted mean") {
  Fixture f;
  f.shard.SetLive({0, 1});
  RecordedCall a(Request::PUSH_PULL, 7, 0, {3}, 1);
  a.request.set_weight(3);
  a.request.set_rounds(1);
  f.shard.Exchange(a);
  CHECK_FALSE(a.finished());
  RecordedCall b(Request::PUSH_PULL, 7, 1, {-5}, 1);
  b.request.set_rounds(1);
  f.shard.Exchange(b);
  REQUIRE(a.finished());
  REQUIRE(b.finished());
  // (3 * 3 + 1 * -5) / 4 = 1
  CHECK(a.reply_values == std::vector<float>{9});
  CHECK(b.reply_values == std::vector<float>{9});
  CHECK(a.reply.version() == 1);
}

TEST_CASE("What a past self of a worker still sends counts for nobody") {
  Fixture f;
  f.shard.SetLive({0});
  f.shard.Enter(0, 50);
  RecordedCall parked(Request::PULL, 7, 0);
  parked.request.set_incarnation(50);
  parked.request.set_rounds(1);
  f.shard.Exchange(parked);
  CHECK_FALSE(parked.finished());
  f.shard.Enter(0, 51);
  f.shard.SetLive({0});
  REQUIRE(parked.finished());
  CHECK(absl::IsFailedPrecondition(*parked.status));
  // It was let in just before, and is as good as the new one's first.
  RecordedCall past(Request::PUSH, 7, 0, {100}, 1);
  past.request.set_incarnation(50);
  f.shard.Exchange(past);
  CHECK(absl::IsFailedPrecondition(*past.status));
  CHECK_THAT(std::string(past.status->message()),
             Catch::Contains("worker 0, shard 0") &&
                 Catch::Contains("replaced by a newer"));
  RecordedCall first(Request::PUSH_PULL, 7, 0, {1}, 1);
  first.request.set_incarnation(51);
  f.shard.Exchange(first);
  REQUIRE(*first.status == absl::OkStatus());
  CHECK(first.reply_values == std::vector<float>{9});
}

TEST_CASE("A departure lowers the quorum and closes the round") {
  Fixture f;
  f.shard.SetLive({0, 1});
  RecordedCall a(Request::PUSH_PULL, 7, 0, {2}, 1);
  a.request.set_rounds(1);
  f.shard.Exchange(a);
  CHECK_FALSE(a.finished());
  f.shard.SetLive({0});
  REQUIRE(a.finished());
  CHECK(a.reply_values == std::vector<float>{10});
}

TEST_CASE("A stale push is refused and counted, and its worker goes on") {
  Fixture f;
  f.shard.SetLive({0});
  RecordedCall a(Request::PUSH, 7, 0, {1}, 1);
  f.shard.Exchange(a);
  RecordedCall late(Request::PUSH_PULL, 7, 1, {5}, 1);
  f.shard.Exchange(late);
  REQUIRE(late.finished());
  CHECK(late.reply.refused());
  CHECK(late.reply_values == std::vector<float>{9});
  // Its repeat learns the same, and counts no more.
  RecordedCall repeat(Request::PUSH_PULL, 7, 1, {5}, 1);
  f.shard.Exchange(repeat);
  CHECK(repeat.reply.refused());
  CHECK(repeat.reply_values == std::vector<float>{9});
  CHECK(f.shard.counters().samples_applied == 10);
  CHECK(f.shard.counters().samples_refused == 10);
}

TEST_CASE("A pull waits while its worker leads by too much") {
  const MadeTrainer made = *MakeTrainer("downpour", {{"form", "delta"}}, {});
  HostedShard shard(0, Flat(1), 0, RulesOf(*made.trainer));
  RecordedCall init(Request::INITIALIZE, 7, 0, {8});
  shard.Exchange(init);
  shard.SetLive({0, 1});
  for (uint64_t i = 1; i <= 3; ++i) {
    RecordedCall push(Request::PUSH_PULL, 7, 0, {1}, i);
    shard.Exchange(push);
  }
  RecordedCall ahead(Request::PULL, 7, 0);
  ahead.request.set_max_lead(2);
  shard.Exchange(ahead);
  CHECK_FALSE(ahead.finished());  // 3 pushes against none
  RecordedCall pull(Request::PULL, 7, 1);
  shard.Exchange(pull);
  CHECK(pull.finished());  // the slowest never waits
  RecordedCall push(Request::PUSH, 7, 1, {1}, 1);
  shard.Exchange(push);
  CHECK(ahead.finished());
}

TEST_CASE("Who comes back goes on with the slowest of those who stayed") {
  Fixture f;
  f.shard.SetLive({0, 1});
  f.shard.SetLive({0});  // worker 1 is silent
  for (uint64_t i = 1; i <= 3; ++i) {
    RecordedCall push(Request::PUSH_PULL, 7, 0, {1}, i);
    f.shard.Exchange(push);
  }
  f.shard.SetLive({0, 1});
  RecordedCall pull(Request::PULL, 7, 0);
  pull.request.set_max_lead(0);
  f.shard.Exchange(pull);
  CHECK(pull.finished());
  RecordedCall push(Request::PUSH, 7, 0, {1}, 4);
  f.shard.Exchange(push);
  RecordedCall ahead(Request::PULL, 7, 0);
  ahead.request.set_max_lead(0);
  f.shard.Exchange(ahead);
  CHECK_FALSE(ahead.finished());
  RecordedCall its(Request::PUSH, 7, 1, {1}, 1);
  f.shard.Exchange(its);
  CHECK(ahead.finished());
}

TEST_CASE("A cancelled pull ends once, and a stop ends all that wait") {
  Fixture f;
  f.shard.SetLive({0, 1});
  RecordedCall a(Request::PULL, 7, 0), b(Request::PULL, 7, 1);
  a.request.set_rounds(1);
  b.request.set_rounds(1);
  f.shard.Exchange(a);
  f.shard.Exchange(b);
  f.shard.Cancel(a);
  REQUIRE(a.finished());
  CHECK(absl::IsCancelled(*a.status));
  f.shard.Cancel(a);
  CHECK_FALSE(b.finished());
  f.shard.Stop(absl::AbortedError("over"));
  REQUIRE(b.finished());
  CHECK(absl::IsAborted(*b.status));
  CHECK(absl::IsCancelled(*a.status));
  CHECK(a.finishes == 1);
}

TEST_CASE("What comes after a stop changes nothing and learns why") {
  Fixture f;
  f.shard.SetLive({0});
  f.shard.Stop(absl::AbortedError("worker 1: the loss is nan"));
  RecordedCall late(Request::PUSH_PULL, 7, 0, {5}, 1);
  f.shard.Exchange(late);
  REQUIRE(late.finished());
  CHECK(*late.status == absl::AbortedError("worker 1: the loss is nan"));
  RecordedCall waits(Request::PULL, 7, 0);
  waits.request.set_rounds(1);
  f.shard.Exchange(waits);
  REQUIRE(waits.finished());
  CHECK(absl::IsAborted(*waits.status));
  RecordedCall observer(Request::PULL, 7, -1);
  f.shard.Exchange(observer);
  CHECK(observer.reply_values == std::vector<float>{8});
  CHECK(f.shard.counters().samples_applied == 0);
}

TEST_CASE("A shard saved inside a round goes on as if nothing had happened") {
  Fixture f;
  f.shard.SetLive({0, 1});
  RecordedCall a(Request::PUSH, 7, 0, {4}, 1);
  f.shard.Exchange(a);
  Writer saved;
  f.shard.Save(saved);

  Fixture other;
  other.shard.SetLive({0, 1});
  Reader reader(saved.bytes());
  REQUIRE(other.shard.Load(reader).ok());
  REQUIRE(reader.End().ok());
  for (HostedShard* shard : {&f.shard, &other.shard}) {
    RecordedCall repeat(Request::PUSH, 7, 0, {4}, 1);
    shard->Exchange(repeat);
    RecordedCall b(Request::PUSH_PULL, 7, 1, {2}, 1);
    shard->Exchange(b);
    CHECK(b.reply_values == std::vector<float>{11});  // 8 + (4 + 2) / 2
    CHECK(b.reply.version() == 1);
  }
  Reader torn(absl::string_view(saved.bytes()).substr(0, 30));
  CHECK(absl::IsDataLoss(other.shard.Load(torn)));
}

}  // namespace
}  // namespace monsoon
