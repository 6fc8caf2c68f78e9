// SPDX-License-Identifier: Apache-2.0
// Updates that are finite themselves, but would take the center to infinity.
#include <catch2/catch.hpp>
#include <map>

#include "server/hosted_shard.h"
#include "tests/server/recorded_call.h"
#include "tests/server/running_job.h"

namespace monsoon {
namespace {

using Catch::Contains;
using Request = pb::ExchangeRequest;
using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

// A shard with this center and its trainer.
struct Host {
  Host(const std::string& name, const Set& set, Values start)
      : made(*MakeTrainer(name, set, {})),
        shard(0, Flat(static_cast<int64_t>(start.size())), 0,
              RulesOf(*made.trainer)) {
    RecordedCall init(Request::INITIALIZE, 7, 0, std::move(start));
    shard.Exchange(init);
  }
  // What the server says to a push of worker 1.
  RecordedCall Push(Values values, uint64_t sequence) {
    RecordedCall call(Request::PUSH_PULL, 7, 1, std::move(values), sequence);
    shard.Exchange(call);
    REQUIRE(call.finished());
    return call;
  }
  Values Center() {
    RecordedCall pull(Request::PULL, 7, -1);
    shard.Exchange(pull);
    return pull.reply_values;
  }
  std::string Saved() const {
    Writer writer;
    shard.Save(writer);
    return writer.bytes();
  }
  MadeTrainer made;
  HostedShard shard;
};

TEST_CASE("A server rule that would make the center infinite is undone") {
  const std::string rule = GENERATE(from_range(ServerOptimizerNames()));
  CAPTURE(rule);
  const Set set = {
      {"form", "gradient"}, {"server_optimizer", rule}, {"server_lr", "1e30"}};
  Host host("downpour", set, {1, 2, 3}), twin("downpour", set, {1, 2, 3});
  const Values good{1e-30f, 0, -1e-30f};
  for (Host* each : {&host, &twin}) each->Push(good, 1);
  const std::string before = host.Saved();
  const RecordedCall bad = host.Push({0, 1e10f, 0}, 2);
  REQUIRE(absl::IsOutOfRange(*bad.status));
  CHECK_THAT(std::string(bad.status->message()),
             Contains("worker 1, shard 0") && Contains("1e+10") &&
                 Contains("nothing was applied") && Contains("lower"));
  CHECK(host.Saved() == before);
  // The sequence is still free, and the rule remembers nothing of it.
  for (Host* each : {&host, &twin}) {
    CHECK(each->Push(good, 2).status == absl::OkStatus());
  }
  CHECK(host.Saved() == twin.Saved());
  CHECK(host.Saved() != before);
}

TEST_CASE("A sum that would be infinite is refused, and only then") {
  Host host("adag", {}, {3e38f, -3e38f});
  CHECK(absl::IsOutOfRange(*host.Push({1e38f, 0}, 1).status));
  CHECK(absl::IsOutOfRange(*host.Push({0, -1e38f}, 1).status));
  CHECK(host.Center() == Values{3e38f, -3e38f});
  CHECK(host.Push({-1e38f, 1e38f}, 1).status == absl::OkStatus());
  // However often it goes to and fro, far below the limit or near it.
  for (uint64_t i = 2; i < 1000; ++i) {
    const float way = i % 2 == 0 ? 1e38f : -1e38f;
    const float by = i < 500 ? way : way * 1e-30f;
    CHECK(host.Push({by, by}, i).status == absl::OkStatus());
  }
}

TEST_CASE("An elastic difference that would be infinite leaves the last one") {
  Host host("aeasgd", {{"alpha", "0.5"}}, {-3e38f});
  const RecordedCall good = host.Push({-1e38f}, 1);
  REQUIRE(good.status == absl::OkStatus());
  const Values center = host.Center();
  CHECK(absl::IsOutOfRange(*host.Push({3e38f}, 2).status));
  CHECK(host.Center() == center);
  CHECK(host.Push({-1e38f}, 1).reply_values == good.reply_values);
}

// A round of every living worker.
class Together final : public Trainer {
 public:
  Traits traits() const override { return {.synchronous = true}; }
  absl::Status Exchange(Replica&, Link&) const override {
    return absl::OkStatus();
  }
  int Quorum(int64_t, absl::Span<const int> live) const override {
    return static_cast<int>(live.size());
  }
};

TEST_CASE("A round that would be infinite ends for all of its workers") {
  const bool departs = GENERATE(false, true);
  CAPTURE(departs);
  const Together trainer;
  HostedShard shard(0, Flat(1), 0, RulesOf(trainer));
  RecordedCall init(Request::INITIALIZE, 7, 0, {3.3e38f});
  shard.Exchange(init);
  shard.SetLive({0, 1});
  RecordedCall absurd(Request::PUSH, 7, 0, {2e38f}, 1);
  shard.Exchange(absurd);
  CHECK(absl::IsOutOfRange(*absurd.status));  // no sum of it is safe
  RecordedCall first(Request::PUSH_PULL, 7, 0, {8e37f}, 1);
  first.request.set_rounds(1);
  shard.Exchange(first);
  REQUIRE_FALSE(first.finished());
  if (departs) {
    shard.SetLive({0});
  } else {
    RecordedCall second(Request::PUSH, 7, 1, {8e37f}, 1);
    shard.Exchange(second);
    CHECK(absl::IsOutOfRange(*second.status));
  }
  REQUIRE(first.finished());
  CHECK(absl::IsOutOfRange(*first.status));
  RecordedCall pull(Request::PULL, 7, -1);
  shard.Exchange(pull);
  CHECK(pull.reply_values == Values{3.3e38f});
  CHECK(pull.reply.version() == 0);
}

}  // namespace
}  // namespace monsoon
