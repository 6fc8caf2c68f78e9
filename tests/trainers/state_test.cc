// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/serial.h"
#include "trainers/replica.h"
#include "trainers/shard.h"
#include "trainers/slots.h"

namespace monsoon {
namespace {

template <typename State>
std::string Saved(const State& state) {
  Writer writer;
  state.Save(writer);
  return writer.bytes();
}

template <typename State>
absl::Status Restore(const std::string& bytes, State& state) {
  Reader reader(bytes);
  absl::Status status = state.Load(reader);
  return status.ok() ? reader.End() : status;
}

TEST_CASE("A slot starts as zeros and stays where it is") {
  Slots slots(3);
  Flat& velocity = slots.vector("velocity");
  REQUIRE(velocity.size() == 3);
  CHECK(velocity[2] == 0);
  velocity[2] = 5;
  for (int i = 0; i < 20; ++i) slots.vector(std::to_string(i));
  CHECK(&slots.vector("velocity") == &velocity);
  CHECK(slots.vector("velocity")[2] == 5);
  CHECK(slots.number("steps") == 0);
}

TEST_CASE("The slots of one worker are forgotten, and no other's") {
  Slots slots(1);
  for (const char* name : {"seen/1", "seen/11", "proxy/1", "mean"}) {
    slots.vector(name)[0] = 5;
  }
  slots.EraseSuffix("/1");
  CHECK_FALSE(slots.has("seen/1"));
  CHECK_FALSE(slots.has("proxy/1"));
  CHECK(slots.vector("seen/11")[0] == 5);
  CHECK(slots.vector("mean")[0] == 5);
}

TEST_CASE("A change that is undone leaves no new slot behind") {
  Shard shard(1);
  shard.center[0] = 3;
  CHECK_FALSE(shard.Try([&] {
    CHECK(shard.seen(0)[0] == 3);
    shard.center[0] = std::numeric_limits<float>::infinity();
  }));
  CHECK(shard.center[0] == 3);
  CHECK_FALSE(shard.slots.has("seen/0"));
  CHECK(shard.seen(0)[0] == 3);
}

TEST_CASE("Slots come back as they were saved, and others are forgotten") {
  Slots slots(2);
  slots.vector("sum")[1] = 0.1f;
  slots.number("steps") = 7;
  Slots restored(2);
  restored.vector("stale")[0] = 1;
  restored.number("old") = 3;
  REQUIRE(Restore(Saved(slots), restored).ok());
  CHECK(restored.vector("sum")[1] == 0.1f);
  CHECK(restored.number("steps") == 7);
  CHECK(Saved(restored) == Saved(slots));
  CHECK(restored.vector("stale")[0] == 0);
  CHECK(restored.number("old") == 0);
}

TEST_CASE("A shard comes back with its center, version and slots") {
  Shard shard(2);
  shard.center[0] = 1.5f;
  shard.version = 9;
  shard.slot("elastic", 3)[1] = -2;
  shard.seen(1)[0] = 4;
  Shard restored(2);
  REQUIRE(Restore(Saved(shard), restored).ok());
  CHECK(restored.version == 9);
  CHECK(restored.center[0] == 1.5f);
  CHECK(restored.slot("elastic", 3)[1] == -2);
  CHECK(restored.seen(1)[0] == 4);
  CHECK(restored.slot("elastic", 1)[1] == 0);
}

TEST_CASE("The way gone lies where the center was") {
  const auto optimizer = *MakeOptimizer("sgd", 0.1f);
  ParameterLayout layout;
  layout.Add("weight", {2}, TensorKind::kWeight);
  layout.Add("mean", {1}, TensorKind::kStatistic);
  LocalRules rules;
  rules.workers = 2;
  Replica r(0, layout, *optimizer, rules);
  const float center[] = {1, 2, 3}, x[] = {7, 5, 9};
  r.KeepCenter(Flat::View(center, 3));
  r.x.CopyFrom(Flat::View(x, 3));
  SECTION("whole") {
    const Flat& way = r.TakeWay();
    CHECK(way[0] == 6);
    CHECK(way[1] == 3);
    CHECK(way[2] == 3);  // a half of it, of two workers
    CHECK(&way == &r.center());
  }
  SECTION("by steps") {
    const Flat& way = r.TakeWay(3);
    CHECK(way[0] == 2);
    CHECK(way[1] == 1);
    CHECK(way[2] == 3);  // statistics are not divided by steps
  }
}

TEST_CASE("A change that leaves something infinite is undone whole") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const int bad = GENERATE(0, 1, 2);  // nothing, the center, a slot
  CAPTURE(bad);
  Shard shard(2);
  shard.center[0] = 1;
  shard.slot("old")[1] = 2;
  shard.slots.number("steps") = 3;
  shard.Try([&] { shard.slot("old")[0] = 7; });
  const std::string before = Saved(shard);
  const bool kept = shard.Try([&] {
    shard.center[1] = bad == 1 ? -kInfinity : 5;
    shard.slot("old")[1] = 9;
    shard.slot("new")[0] = bad == 2 ? std::nanf("") : 4;
    shard.slot("old")[0] = 8;
    shard.slots.number("steps") += 1;
  });
  CHECK(kept == (bad == 0));
  CHECK(shard.center[1] == (kept ? 5 : 0));
  CHECK(shard.slot("old")[0] == (kept ? 8 : 7));
  CHECK(shard.slot("old")[1] == (kept ? 9 : 2));
  CHECK(shard.slot("new")[0] == (kept ? 4 : 0));
  CHECK(shard.slots.number("steps") == (kept ? 4 : 3));
}

// Local steps on 5 floats with gradients that depend on x.
void Train(Replica& r, int steps) {
  for (int i = 0; i < steps; ++i) {
    const GradientSink sink = r.BeginLocalStep();
    for (int64_t j = 0; j < r.x.size(); ++j) {
      const float gradient =
          r.x[j] - static_cast<float>(std::cos(static_cast<double>(j)));
      sink.into[j] = sink.beta * sink.into[j] + sink.scale * gradient;
    }
    if (sink.listener != nullptr) sink.listener->Take(0, sink.into);
    r.EndLocalStep();
    ++r.step;
    ++r.pending;
    r.pending_samples += 64;
  }
}

TEST_CASE("A restored replica goes on bit for bit") {
  const std::string name = GENERATE(from_range(OptimizerNames()));
  CAPTURE(name);
  const auto optimizer = *MakeOptimizer(name, 0.1f);
  Replica straight(0, 5, *optimizer), stopped(0, 5, *optimizer),
      resumed(0, 5, *optimizer);
  straight.KeepCenter(straight.x);
  stopped.KeepCenter(stopped.x);
  straight.slot("mine")[4] = stopped.slot("mine")[4] = 8;
  Train(straight, 7);
  Train(stopped, 3);
  const std::string bytes = Saved(stopped);
  REQUIRE(Restore(bytes, resumed).ok());
  CHECK(resumed.step == 3);
  CHECK(resumed.center().size() == 5);
  Train(resumed, 4);
  CHECK(Saved(resumed) == Saved(straight));
  CHECK(Saved(resumed) != bytes);
}

TEST_CASE("A replica that keeps no center saves none") {
  const auto optimizer = *MakeOptimizer("sgd", 0.1f);
  Replica replica(1, 4, *optimizer), restored(1, 4, *optimizer);
  CHECK(replica.center().empty());
  REQUIRE(Restore(Saved(replica), restored).ok());
  CHECK(restored.center().empty());
}

TEST_CASE("A kept center is a copy, taken anew each time") {
  const auto optimizer = *MakeOptimizer("sgd", 0.1f);
  Replica replica(0, 2, *optimizer);
  replica.x[0] = 3;
  replica.KeepCenter(replica.x);
  replica.x[0] = 4;
  CHECK(replica.center()[0] == 3);
  replica.KeepCenter(replica.x);
  CHECK(replica.center()[0] == 4);
}

TEST_CASE("A saved state that ends early or is another's is data loss") {
  const auto optimizer = *MakeOptimizer("momentum", 0.1f);
  Replica replica(0, 4, *optimizer);
  Train(replica, 1);
  const std::string bytes = Saved(replica);
  for (size_t size :
       {size_t{0}, size_t{20}, bytes.size() / 2, bytes.size() - 1}) {
    Replica victim(0, 4, *optimizer);
    CHECK(Restore(bytes.substr(0, size), victim).code() ==
          absl::StatusCode::kDataLoss);
  }
  Replica larger(0, 5, *optimizer);
  CHECK(Restore(bytes, larger).code() == absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace monsoon
