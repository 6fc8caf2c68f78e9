// SPDX-License-Identifier: Apache-2.0
// Trainers and optimizers with vectors on a GPU: bit for bit what they are on
// the processor. Where a rule takes a norm, the two sum doubles in different
// orders, and round the sum to one float all the same unless it lies within
// 1e-15 of the middle between two: none here does.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "base/device_queue.h"
#include "base/random.h"
#include "cuda/cuda.h"
#include "server/server.h"
#include "tests/trainers/conformance.h"

namespace monsoon {
namespace {

MemoryResource& OnHost(int) { return HeapMemory(); }
MemoryResource& Gpu() { return TestMemory(0); }

std::unique_ptr<ServerCalls> ServerOnGpu() {
  ServerOptions options;
  options.open_device = [] { return MakeCudaQueue(0); };
  return std::make_unique<Server>(RealClock(), std::move(options));
}

Flat Numbers(int64_t n, uint64_t seed) {
  Random random({seed});
  Flat values(n);
  for (float& value : values.span()) value = random.Uniform(-2, 2);
  return values;
}

Flat ToGpu(const Flat& values) {
  Flat there(values.size(), Gpu());
  there.CopyFrom(values);
  return there;
}

std::vector<float> Values(const Flat& values) {
  const Flat here = values.ToHost();
  return {here.span().begin(), here.span().end()};
}

template <typename State>
std::string Saved(const State& state) {
  Writer writer;
  state.Save(writer);
  return writer.bytes();
}

TEST_CASE("Every trainer trains on a GPU as on the processor",
          "[cuda][trainers]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  const std::string optimizer = GENERATE(from_range(OptimizerNames()));
  const MadeTrainer made = *MakeTrainer(name, {}, {});
  if (made.trainer->traits().maps_center) return;
  JobFacts facts;
  facts.optimizer = optimizer;
  const auto used = MakeTrainer(name, {}, facts);
  if (!used.ok()) return;  // no rule for its servers
  const Traits traits = used->trainer->traits();
  const bool is_legal =
      CheckOptimizer(name, traits, **MakeOptimizer(optimizer, 0.1f)).ok();
  const bool is_plain = traits.local_step == LocalStep::kNone;
  if (!is_legal || (is_plain && optimizer != "sgd")) return;
  for (const bool is_full : {false, true}) {
    CAPTURE(name, optimizer, is_full);
    ToyJob job = is_full ? FullJob(name) : SmallJob(name);
    job.optimizer = optimizer;
    const Outcome there = Train(job);
    job.memory = OnHost;
    CHECK(Train(job) == there);
    // And with the server there.
    job.make_server = ServerOnGpu;
    CHECK(Train(job) == there);
  }
}

TEST_CASE("Every optimizer steps on a GPU as on the processor",
          "[cuda][trainers]") {
  const std::string name = GENERATE(from_range(OptimizerNames()));
  const int64_t n = GENERATE(1, 2, 255, 256, 257, 1000, 4099);
  CAPTURE(name, n);
  const auto optimizer = *MakeOptimizer(name, 0.1f);
  Flat x = Numbers(n, 1), x_there = ToGpu(x);
  Slots slots(n), slots_there(n, Gpu());
  for (uint64_t step = 0; step < 5; ++step) {
    const Flat gradient = Numbers(n, 2 + step);
    const Flat gradient_there = ToGpu(gradient);
    if (optimizer->takes_tensors()) {
      const TensorStep tensor = {.decay = step < 3 ? 0.01f : 0,
                                 .is_weight = step < 3};
      optimizer->Begin(slots);
      optimizer->Begin(slots_there);
      optimizer->StepTensor(0.1f, tensor, gradient, x, slots);
      optimizer->StepTensor(0.1f, tensor, gradient_there, x_there, slots_there);
    } else {
      optimizer->Step(gradient, x, slots);
      optimizer->Step(gradient_there, x_there, slots_there);
    }
  }
  CHECK(SameBits(Values(x), Values(x_there)));
  CHECK(Saved(slots) == Saved(slots_there));
}

using Keys = std::map<std::string, std::string>;

// A trainer with every choice that its server half has.
std::vector<Keys> Choices(const std::string& trainer) {
  if (trainer == "gem") return {{}, {{"count_own_update", "true"}}};
  if (trainer == "dcasgd") return {{}, {{"adaptive", "true"}}};
  if (trainer == "fedadam") {
    return {{{"rule", "adagrad"}}, {{"rule", "adam"}}, {{"rule", "yogi"}}};
  }
  if (trainer == "diloco_async") {
    return {{}, {{"buffer", "3"}, {"spread", "0.2"}}};
  }
  if (trainer != "downpour" && trainer != "diloco") return {{}};
  std::vector<Keys> keys;
  for (const std::string& name : ServerOptimizerNames()) {
    keys.push_back({{"server_optimizer", name}});
  }
  return keys;
}

TEST_CASE("Every trainer's server half works on a GPU as on the processor",
          "[cuda][trainers]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  const int64_t statistics = GENERATE(0, 3);
  constexpr int64_t kSize = 259;
  JobFacts facts;
  facts.workers = 2;
  for (const Keys& keys : Choices(name)) {
    CAPTURE(name, keys, statistics);
    const MadeTrainer made = *MakeTrainer(name, keys, facts);
    const Trainer& trainer = *made.trainer;
    if (trainer.traits().pushes == Payload::kNone) return;
    Shard here(kSize, statistics), there(kSize, statistics, Gpu());
    here.center.CopyFrom(Numbers(kSize, 9));
    there.center.CopyFrom(here.center);
    for (int i = 0; i < 8; ++i) {
      Flat value = Numbers(kSize, 10 + static_cast<uint64_t>(i));
      if (i == 5) value[7] = std::numeric_limits<float>::infinity();
      const Flat value_there = ToGpu(value);
      const Update update{value, 1, i % 2}, update_there{value_there, 1, i % 2};
      const bool kept = here.Try([&] { trainer.Apply(update, here); });
      CHECK(kept == there.Try([&] { trainer.Apply(update_there, there); }));
      CHECK(SameBits(Values(trainer.Reply(update, here)),
                     Values(trainer.Reply(update_there, there))));
    }
    CHECK(Saved(here) == Saved(there));
    here.Forget(1);
    there.Forget(1);
    CHECK(Saved(here) == Saved(there));
  }
}

TEST_CASE("A replica is saved on a GPU and goes on anywhere",
          "[cuda][trainers]") {
  const auto optimizer = *MakeOptimizer("adam", 0.1f);
  ParameterLayout layout;
  layout.Add("x", {5}, TensorKind::kWeight);
  layout.Add("s", {2}, TensorKind::kStatistic);
  Replica there(0, layout, *optimizer, {}, Gpu()), here(0, layout, *optimizer);
  Replica again(0, layout, *optimizer, {}, Gpu());
  there.x.CopyFrom(Numbers(7, 1));
  there.gradient.CopyFrom(Numbers(7, 2));
  there.KeepCenter(there.x);
  there.slot("mine").CopyFrom(Numbers(7, 3));
  there.Step();
  for (Replica* replica : {&here, &again}) {
    const std::string bytes = Saved(there);
    Reader reader(bytes);
    REQUIRE(replica->Load(reader).ok());
    CHECK(reader.End().ok());
    CHECK(Saved(*replica) == bytes);
    CHECK(replica->center().queue() == replica->x.queue());
    CHECK(replica->slot("mine").queue() == replica->x.queue());
    // Goes on as the one that was saved.
    for (Replica* one : {&there, replica}) {
      one->gradient.CopyFrom(Numbers(7, 4));
      one->Step();
    }
    CHECK(SameBits(Values(there.TakeWay(2)), Values(replica->TakeWay(2))));
    there.KeepCenter(there.x);
  }
}

TEST_CASE("On a GPU the sink is the same at every step", "[cuda][trainers]") {
  for (const std::string& name : TrainerNames()) {
    const MadeTrainer made = *MakeTrainer(name, {}, {});
    if (made.trainer->traits().maps_center) continue;
    Keys keys;
    if (made.resolved.contains("window")) keys["window"] = "3";
    const MadeTrainer windowed = *MakeTrainer(name, keys, {});
    CAPTURE(name);
    const auto optimizer = *MakeOptimizer("sgd", 0.1f);
    ParameterLayout layout;
    layout.Add("x", {5}, TensorKind::kWeight);
    LocalRules rules;
    rules.schedule = {.shape = Schedule::Shape::kCosine, .epochs = 2};
    Replica replica(0, layout, *optimizer, rules, Gpu());
    const float* into = nullptr;
    for (replica.pending = 0; replica.pending < 3; ++replica.pending) {
      ++replica.samples;
      replica.BeginStep();
      const GradientSink sink = windowed.trainer->Sink(replica);
      CHECK(sink.scale == 1);
      CHECK(sink.beta == 0);
      if (into != nullptr) CHECK(sink.into.data() == into);
      into = sink.into.data();
    }
  }
}

TEST_CASE("hogwild refuses a replica on a GPU", "[cuda][trainers]") {
  const MadeTrainer made = *MakeTrainer("hogwild", {}, {});
  const auto optimizer = *MakeOptimizer("sgd", 0.1f);
  ParameterLayout layout;
  layout.Add("x", {5}, TensorKind::kWeight);
  Replica replica(0, layout, *optimizer, {}, Gpu());
  struct NoLink final : Link {
    absl::Status Pull(Flat&, Freshness) override { return absl::OkStatus(); }
    absl::Status Push(const Flat&, float) override { return absl::OkStatus(); }
    absl::Status PushPull(const Flat&, Flat&, float, Freshness) override {
      return absl::OkStatus();
    }
  } link;
  const absl::Status status = made.trainer->Start(replica, link);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()),
             Catch::Contains("trainer hogwild: found a replica in the memory "
                             "of cuda:0 (") &&
                 Catch::Contains("use --device cpu or another trainer"));
}

}  // namespace
}  // namespace monsoon
