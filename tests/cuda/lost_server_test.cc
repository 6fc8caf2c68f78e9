// SPDX-License-Identifier: Apache-2.0
// Whole jobs whose servers lose their GPU, or find too little room on it.
#include <atomic>
#include <catch2/catch.hpp>

#include "cli/in_process.h"
#include "tests/cuda/emulator/emulator.h"
#include "tests/server/running_job.h"
#include "tests/worker/local_job.h"
#include "transport/forwarding.h"
#include "worker/options.h"

namespace monsoon {
namespace {

using Catch::Contains;

const std::atomic<int> kNoStop{0};

Options TinyJob() {
  Options options;
  options.trainer = "downpour";
  options.model = "mlp:16";
  options.workers = 2;
  options.batch_size = 50;
  options.device = "cpu";
  options.transport = "inproc";
  options.server_device = "cuda:1";
  return options;
}

// Loses a GPU in the middle of the job.
class Losing final : public ForwardingCalls {
 public:
  explicit Losing(ServerCalls& next) : ForwardingCalls(next) {}
  void Exchange(ExchangeCall& call) override {
    if (++exchanges_ == 12) emulator::Lose(1);
    ForwardingCalls::Exchange(call);
  }

 private:
  std::atomic<int> exchanges_{0};
};

TEST_CASE("A job whose server loses its GPU fails at once, and says why",
          "[cuda]") {
  const Dataset data = SmallFashionMnist(1000);
  emulator::SetDevices(2);
  {
    Options options = TinyJob();
    options.device = GENERATE(as<std::string>(), "cpu", "cuda:0");
    REQUIRE(ResolveOptions(options).ok());
    const auto hosted = *StartServers(options, RealClock());
    Losing server(*hosted[0].calls());
    const absl::Time begin = absl::Now();
    const auto outcomes = RunLocalJob(options, {&server}, data, kNoStop);
    CHECK(absl::Now() - begin < absl::Seconds(20));
    for (const auto& outcome : outcomes) {
      const std::string why = outcome.ok()
                                  ? outcome->status.stop()
                                  : std::string(outcome.status().message());
      CHECK_THAT(why, Contains("the memory of shard ") &&
                          Contains("cuda:1 (emulated): ") &&
                          Contains("uncorrectable"));
    }
  }
  emulator::Reset();
}

TEST_CASE("Servers take turns over the GPUs", "[cuda]") {
  emulator::SetDevices(2);
  {
    Options options = TinyJob();
    options.servers = 2;
    options.server_device = "cuda";
    const auto hosted = *StartServers(options, RealClock());
    emulator::Lose(1);
    pb::JobSpec spec = DeltaJob(1);
    spec.set_servers(2);
    spec.mutable_shards(0)->set_size(2);
    pb::Shard& second = *spec.add_shards();
    second.set_offset(2);
    second.set_size(1);
    second.set_server(1);
    pb::JoinRequest request = JoinAs(0, spec);
    CHECK(TryJoin(*hosted[0].server, request).ok());
    request.set_server_index(1);
    CHECK_THAT(std::string(TryJoin(*hosted[1].server, request).message()),
               Contains("the memory of shard 1 (--server-device): cuda:1 "));
  }
  emulator::Reset();
}

TEST_CASE("A job whose server finds no room on its GPU says what was asked",
          "[cuda]") {
  const Dataset data = SmallFashionMnist(1000);
  emulator::SetDevices(2);
  emulator::SetMemory(size_t{1} << 20);
  {
    Options options = TinyJob();
    options.workers = 1;
    options.model = "mlp:2000";
    REQUIRE(ResolveOptions(options).ok());
    const auto hosted = *StartServers(options, RealClock());
    const auto outcomes =
        RunLocalJob(options, {hosted[0].calls()}, data, kNoStop);
    REQUIRE(absl::IsResourceExhausted(outcomes[0].status()));
    CHECK_THAT(std::string(outcomes[0].status().message()),
               Contains("--server-device") &&
                   Contains("asked for 887 KiB, 129 KiB are free"));
  }
  emulator::Reset();
}

}  // namespace
}  // namespace monsoon
