// SPDX-License-Identifier: Apache-2.0
// A shard in a GPU's memory beside one in the host's, which are told the same:
// they answer alike and are saved alike, bit for bit.
#include <catch2/catch.hpp>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "cuda/cuda.h"
#include "server/hosted_shard.h"
#include "tests/cuda/device_call.h"
#include "tests/server/running_job.h"

namespace monsoon {
namespace {

using Catch::Contains;
using Request = pb::ExchangeRequest;
using Values = std::vector<float>;

constexpr int64_t kSize = 259;
constexpr int64_t kStatistics = 3;

std::unique_ptr<DeviceQueue> MakeQueue() {
  auto queue = MakeCudaQueue(0);
  REQUIRE(queue.ok());
  return *std::move(queue);
}

Values Numbers(Random& random, float most = 2) {
  Values values(kSize);
  for (float& value : values) value = random.Uniform(-most, most);
  return values;
}

std::string Saved(const HostedShard& shard) {
  Writer writer;
  shard.Save(writer);
  return writer.bytes();
}

// Bits: what is not finite equals itself.
std::string BitsOf(const Values& values) {
  const absl::Span<const char> bytes = AsBytes(absl::MakeConstSpan(values));
  return {bytes.data(), bytes.size()};
}

// Both shards, and all calls that they got.
class Twins {
 public:
  // Values of the GPU's calls lie there too, or in the host's memory.
  Twins(const MadeTrainer& made, bool calls_from_device)
      : calls_from_device_(calls_from_device),
        callers_(MakeQueue()),
        queue_(MakeQueue()),
        here(0, Flat(kSize), kStatistics, RulesOf(*made.trainer)),
        there(0, Flat(kSize, *queue_), kStatistics, RulesOf(*made.trainer)) {}

  // Both get it; `change` may set more of the request.
  void Exchange(Request::Kind kind, int worker, const Values& values,
                uint64_t sequence,
                const std::function<void(Request&)>& change = nullptr) {
    Call(here,
         std::make_unique<RecordedCall>(kind, 7, worker, values, sequence),
         change);
    if (calls_from_device_) {
      Call(there,
           std::make_unique<DeviceCall>(*callers_, kSize, kind, worker, values,
                                        sequence),
           change);
    } else {
      Call(there,
           std::make_unique<RecordedCall>(kind, 7, worker, values, sequence),
           change);
    }
  }
  void SetLive(const std::vector<int>& live) {
    here.SetLive(live);
    there.SetLive(live);
  }
  // The last call to the GPU's shard.
  const RecordedCall& last() const { return *calls_.back(); }

  void Check() const {
    for (size_t i = 0; i < calls_.size(); i += 2) {
      const RecordedCall& a = *calls_[i];
      const RecordedCall& b = *calls_[i + 1];
      CAPTURE(i / 2, a.request.ShortDebugString());
      REQUIRE(a.finished() == b.finished());
      if (!a.finished()) continue;
      CHECK(*a.status == *b.status);
      CHECK(a.reply.SerializeAsString() == b.reply.SerializeAsString());
      CHECK(BitsOf(a.reply_values) == BitsOf(b.reply_values));
      CHECK(b.finishes == 1);
    }
    CHECK(Saved(here) == Saved(there));
  }

 private:
  void Call(HostedShard& shard, std::unique_ptr<RecordedCall> call,
            const std::function<void(Request&)>& change) {
    if (change) change(call->request);
    calls_.push_back(std::move(call));
    shard.Exchange(*calls_.back());
  }

  const bool calls_from_device_;
  const std::unique_ptr<DeviceQueue> callers_, queue_;
  std::vector<std::unique_ptr<RecordedCall>> calls_;  // here, there, ...

 public:
  HostedShard here, there;
};

// 60 exchanges of three workers: pushes of any staleness, round and weight,
// some repeated, some that are not finite, some that would be too large.
void RunScript(Twins& twins, uint64_t seed, bool is_synchronous) {
  Random random({seed});
  twins.SetLive({0, 1, 2});
  twins.Exchange(Request::PUSH, 0, Numbers(random), 1);  // no center yet
  for (int worker = 0; worker < 3; ++worker) {
    twins.Exchange(Request::INITIALIZE, worker, Numbers(random), 0);
    twins.Exchange(Request::PULL, worker, {}, 0);
  }
  std::vector<uint64_t> sequences(3, 0);
  for (int i = 0; i < 60; ++i) {
    const int worker =
        is_synchronous ? i % 3 : static_cast<int>(random.Below(3));
    uint64_t& sequence = sequences[static_cast<size_t>(worker)];
    const bool repeats = i % 7 == 6 && sequence > 0;
    if (!repeats) ++sequence;
    Values values = Numbers(random);
    if (i == 22 || i == 25) values[130] = i == 22 ? INFINITY : NAN;
    if (i == 50) values[131] = 3e38f;
    const auto kind = !is_synchronous && random.Below(3) == 0
                          ? Request::PUSH
                          : Request::PUSH_PULL;
    const float weight = random.Uniform(1, 3);
    twins.Exchange(kind, worker, values, sequence, [&](Request& request) {
      request.set_weight(weight);
      if (is_synchronous) request.set_rounds(1);
    });
    const bool is_refused =
        twins.last().finished() && !twins.last().status->ok();
    if (is_refused && !repeats) --sequence;
    if (i % 11 == 10) twins.Exchange(Request::PULL, -1, {}, 0);
    if (i == 30) twins.SetLive({0, 2});
    if (i == 45) twins.SetLive({0, 1, 2});
  }
}

TEST_CASE("A shard on a GPU answers every trainer as one of the host does",
          "[cuda][server]") {
  const std::string name = GENERATE(from_range(TrainerNames()));
  const bool from_device = GENERATE(false, true);
  CAPTURE(name, from_device);
  JobFacts facts;
  facts.workers = 3;
  const MadeTrainer made = *MakeTrainer(name, {}, facts);
  const Traits traits = made.trainer->traits();
  if (traits.maps_center || traits.pushes == Payload::kNone) return;
  Twins twins(made, from_device);
  RunScript(twins, 5, traits.synchronous);
  twins.Check();
  CHECK(twins.there.counters().samples_applied > 0);
}

TEST_CASE(
    "Pushes near the largest float are refused on a GPU alike, and undone",
    "[cuda][server]") {
  const std::string rule = GENERATE(from_range(ServerOptimizerNames()));
  CAPTURE(rule);
  const MadeTrainer made = *MakeTrainer(
      "downpour",
      {{"form", "gradient"}, {"server_optimizer", rule}, {"server_lr", "1e30"}},
      {});
  Twins twins(made, /*calls_from_device=*/true);
  twins.Exchange(Request::INITIALIZE, 0, Values(kSize, 1), 0);
  const Values good(kSize, 1e-30f);
  Values bad = good;
  bad[17] = 1e10f;
  twins.Exchange(Request::PUSH_PULL, 0, good, 1);
  twins.Exchange(Request::PUSH_PULL, 0, bad, 2);
  CHECK(absl::IsOutOfRange(*twins.last().status));
  twins.Check();
  twins.Exchange(Request::PUSH_PULL, 0, good, 2);
  CHECK(*twins.last().status == absl::OkStatus());
  twins.Check();
}

TEST_CASE("What is not finite is found on a GPU and named", "[cuda][server]") {
  const bool from_device = GENERATE(false, true);
  const MadeTrainer made = *MakeTrainer("adag", {}, {});
  Twins twins(made, from_device);
  Values values(kSize, 1);
  values[200] = -INFINITY;
  twins.Exchange(Request::INITIALIZE, 0, values, 0);
  CHECK(absl::IsInvalidArgument(*twins.last().status));
  twins.Exchange(Request::INITIALIZE, 0, Values(kSize, 1), 0);
  twins.Exchange(Request::PUSH_PULL, 1, values, 1);
  CHECK_THAT(std::string(twins.last().status->message()),
             Contains("worker 1, shard 0: value 200 of the update is -inf"));
  twins.Exchange(Request::PULL, 1, {}, 0);
  CHECK(twins.last().reply_values == Values(kSize, 1));
  twins.Check();
}

TEST_CASE("A shard on a GPU is saved inside a round and goes on anywhere",
          "[cuda][server]") {
  JobFacts facts;
  facts.workers = 2;
  const MadeTrainer made = *MakeTrainer("sync", {}, facts);
  Random random({9});
  Twins twins(made, /*calls_from_device=*/true);
  twins.SetLive({0, 1});
  twins.Exchange(Request::INITIALIZE, 0, Numbers(random), 0);
  twins.Exchange(Request::PUSH, 0, Numbers(random), 1);
  twins.Check();
  const std::string saved = Saved(twins.there);

  Twins resumed(made, /*calls_from_device=*/false);
  for (HostedShard* shard : {&resumed.here, &resumed.there}) {
    Reader reader(saved);
    REQUIRE(shard->Load(reader).ok());
    REQUIRE(reader.End().ok());
  }
  resumed.SetLive({0, 1});
  const Values last = Numbers(random);
  for (Twins* each : {&twins, &resumed}) {
    each->Exchange(Request::PUSH_PULL, 1, last, 1);
    each->Check();
  }
  CHECK(BitsOf(twins.last().reply_values) ==
        BitsOf(resumed.last().reply_values));
  CHECK(Saved(twins.there) == Saved(resumed.there));
}

TEST_CASE("A shard of the host refuses values in a GPU's memory",
          "[cuda][server]") {
  const MadeTrainer made = *MakeTrainer("adag", {}, {});
  HostedShard shard(0, Flat(kSize), 0, RulesOf(*made.trainer));
  const auto queue = MakeQueue();
  DeviceCall call(*queue, kSize, Request::INITIALIZE, 0, Values(kSize, 1), 0);
  shard.Exchange(call);
  CHECK(absl::IsInvalidArgument(*call.status));
  CHECK_THAT(std::string(call.status->message()),
             Contains("the values lie in a GPU's memory, expected the host's"));
}

ServerOptions OnGpu() {
  ServerOptions options;
  options.open_device = [] { return MakeCudaQueue(0); };
  return options;
}

TEST_CASE("A server says where its shards lie", "[cuda][server]") {
  CHECK(Server(RealClock(), OnGpu()).takes_device_memory());
  CHECK_FALSE(Server(RealClock()).takes_device_memory());
}

TEST_CASE("A server on a GPU refuses jobs that cannot be there",
          "[cuda][server]") {
  Server server(RealClock(), OnGpu());
  pb::JobSpec coded = DeltaJob(1);
  coded.set_push_code("int8");
  const absl::Status code = TryJoin(server, JoinAs(0, coded));
  CHECK(absl::IsInvalidArgument(code));
  CHECK_THAT(std::string(code.message()),
             Contains("travel as int8 and fp32, expected fp32"));
  pb::JobSpec mapped = DeltaJob(1);
  mapped.set_trainer("hogwild");
  mapped.clear_hyper();
  const absl::Status map = TryJoin(server, JoinAs(0, mapped));
  CHECK(absl::IsInvalidArgument(map));
  CHECK_THAT(
      std::string(map.message()),
      Contains("trainer hogwild") && Contains("found a server on a GPU"));
  CHECK(TryJoin(server, JoinAs(0, DeltaJob(1))).ok());
}

}  // namespace
}  // namespace monsoon
