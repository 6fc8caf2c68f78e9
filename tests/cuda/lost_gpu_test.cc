// SPDX-License-Identifier: Apache-2.0
// What becomes of exchanges and jobs whose GPU is lost.
#include <atomic>
#include <catch2/catch.hpp>

#include "base/clock.h"
#include "cuda/cuda.h"
#include "server/server.h"
#include "tests/cuda/emulator/emulator.h"
#include "tests/worker/coded_cluster.h"
#include "tests/worker/local_job.h"
#include "transport/forwarding.h"

namespace monsoon {
namespace {

using Catch::Matchers::Contains;

struct Emulation {
  Emulation() { emulator::Reset(); }
  ~Emulation() { emulator::Reset(); }
};

TEST_CASE("Nothing is sent of a GPU that is lost, and nothing repeated",
          "[cuda]") {
  const Emulation emulation;
  const std::string wire = GENERATE(as<std::string>(), "fp32", "int8");
  const auto queue = *MakeCudaQueue(0);
  const auto copies = *queue->Fork();
  CodedCluster gpu("downpour", wire, 1, {}, copies.get());
  Flat update(kFloats, *queue), reply(kFloats, *queue);
  REQUIRE(gpu.links[0]->PushPull(update, reply) == absl::OkStatus());
  const int64_t pushes = gpu.links[0]->counters().pushes;
  emulator::Lose(0);
  const absl::Time begin = RealClock().Now();
  const absl::Status pushed = gpu.links[0]->PushPull(update, reply);
  CHECK(absl::IsUnavailable(pushed));
  CHECK_THAT(std::string(pushed.message()), Contains("the GPU is lost"));
  CHECK(RealClock().Now() - begin < absl::Seconds(5));
  CHECK(gpu.links[0]->counters().pushes == pushes);
}

// Worker 1 loses its GPU in the middle of an exchange, with one shard on its
// way to the host.
class Losing final : public ForwardingCalls {
 public:
  explicit Losing(ServerCalls& next) : ForwardingCalls(next) {}
  void Exchange(ExchangeCall& call) override {
    if (call.request.worker() == 1 && ++exchanges_ == 12) emulator::Lose(1);
    ForwardingCalls::Exchange(call);
  }

 private:
  std::atomic<int> exchanges_{0};
};

TEST_CASE("A worker that loses its GPU ends alone, and its rank is free",
          "[cuda]") {
  const Emulation emulation;
  emulator::SetDevices(2);
  const Dataset data = SmallFashionMnist(2000);
  // `sync` waits for everybody who is there.
  const std::string trainer = GENERATE(as<std::string>(), "downpour", "sync");
  const bool overlap = trainer == "downpour" && GENERATE(false, true);
  CAPTURE(trainer, overlap);
  Options options;
  options.overlap = overlap;
  options.trainer = trainer;
  options.model = "mlp:16";
  options.workers = 2;
  options.batch_size = 20;
  options.epochs = 4;
  options.device = "cuda";  // each its own
  options.connect_timeout = absl::Seconds(30);
  ServerOptions settings;
  settings.lease = absl::Seconds(1);
  Server server(RealClock(), settings), second(RealClock(), settings);
  Losing losing(server);
  const std::atomic<int> stop{0};
  const auto outcomes = RunLocalJob(options, {&losing, &second}, data, stop);
  CHECK(absl::IsUnavailable(outcomes[1].status()));
  CHECK_THAT(std::string(outcomes[1].status().message()),
             Contains("cuda:1 ") && Contains("the GPU is lost"));
  // The other has trained to its end, and then finds nobody in that rank.
  pb::JobStatus status;
  REQUIRE(server.GetJob({}, status).ok());
  CHECK(status.stop().empty());
  CHECK(status.members(0).report().state() == pb::DONE);
  CHECK(status.members(0).report().samples() == 4 * 1000);
  CHECK(status.members(1).report().state() == pb::RUNNING);
  CHECK(status.members(1).report().samples() < 4 * 1000);
  CHECK_THAT(std::string(outcomes[0].status().message()),
             Contains("worker 1 ") && Contains("has been silent"));
}

}  // namespace
}  // namespace monsoon
