// SPDX-License-Identifier: Apache-2.0
// Whole jobs whose servers lie on a GPU, against the same on the processor.
#include <catch2/catch.hpp>

#include "cli/in_process.h"
#include "tests/worker/local_job.h"
#include "worker/options.h"

namespace monsoon {
namespace {

using Catch::Contains;

const std::atomic<int> kNoStop{0};

std::vector<absl::StatusOr<JobOutcome>> Run(Options options,
                                            const Dataset& data) {
  REQUIRE(ResolveTransport(options).ok());
  REQUIRE(ResolveOptions(options).ok());
  const auto hosted = StartServers(options, RealClock());
  REQUIRE(hosted.ok());
  std::vector<ServerCalls*> servers;
  for (const HostedServer& one : *hosted) {
    CHECK(one.calls()->takes_device_memory() ==
          (options.server_device != "cpu"));
    servers.push_back(one.calls());
  }
  return RunLocalJob(options, servers, data, kNoStop);
}

JobOutcome Outcome(const Options& options, const Dataset& data) {
  auto outcomes = Run(options, data);
  for (const auto& outcome : outcomes) {
    INFO(outcome.status());
    REQUIRE(outcome.ok());
  }
  return *std::move(outcomes[0]);
}

Options TinyJob(const std::string& trainer, const std::string& device) {
  Options options;
  options.trainer = trainer;
  options.model = "mlp:16";
  options.workers = 1;
  options.servers = 2;
  options.batch_size = 50;
  options.epochs = 2;
  options.device = device;
  options.connect_timeout = absl::Seconds(30);
  return options;
}

TEST_CASE("A job comes to the same, bit for bit, whose servers are on a GPU",
          "[cuda]") {
  const Dataset data = SmallFashionMnist(330);
  const std::string device = GENERATE("cpu", "cuda");
  const std::string trainer =
      GENERATE("downpour", "adag", "dcasgd", "gem", "aeasgd", "diloco", "sync",
               "fedadam", "ensemble");
  CAPTURE(device, trainer);
  Options there = TinyJob(trainer, device);
  there.server_device = "cuda";
  // Only rounds come to the same whoever is first.
  const MadeTrainer made = *MakeTrainer(trainer, {}, {});
  if (made.trainer->traits().synchronous) there.workers = 2;
  Options here = there;
  here.server_device = "cpu";
  const JobOutcome gpu = Outcome(there, data), host = Outcome(here, data);
  CHECK(gpu.options.server_device == "cuda");
  REQUIRE(gpu.members.size() == host.members.size());
  for (size_t i = 0; i < gpu.members.size(); ++i) {
    CHECK(AsBytes(gpu.members[i].span()) == AsBytes(host.members[i].span()));
  }
  CHECK(gpu.status.samples_applied() == host.status.samples_applied());
}

TEST_CASE("Several workers train one center on a GPU", "[cuda]") {
  const Dataset data = SmallFashionMnist(400);
  for (const std::string device : {"cpu", "cuda"}) {
    for (const std::string trainer : {"downpour", "ssp", "aeasgd", "sync"}) {
      CAPTURE(device, trainer);
      Options options = TinyJob(trainer, device);
      options.workers = 3;
      options.server_device = "cuda:0";
      const JobOutcome outcome = Outcome(options, data);
      CHECK(AllFinite(outcome.members[0]));
      int64_t samples = 0;
      for (const auto& member : outcome.status.members()) {
        samples += member.report().samples();
      }
      CHECK(samples == 2 * 400);
    }
  }
}

TEST_CASE("The servers' device is one where the job can be", "[cuda]") {
  const auto refusal = [](Options options) {
    options.server_device = "cuda";
    if (options.transport == "auto") REQUIRE(ResolveTransport(options).ok());
    const absl::Status status = ResolveOptions(options);
    CHECK(absl::IsInvalidArgument(status));
    return std::string(status.message());
  };
  for (const std::string transport : {"grpc", "shm"}) {
    CHECK_THAT(refusal({.transport = transport}),
               Contains("--server-device cuda: found --transport " + transport +
                        ", expected --transport inproc") &&
                   Contains("within a process alone, or "
                            "--server-device cpu"));
  }
  CHECK_THAT(refusal({.trainer = "hogwild"}),
             Contains("found --trainer hogwild, which works in the memory of "
                      "the center itself"));
  CHECK_THAT(refusal({.wire = "int8"}),
             Contains("found --wire int8, expected --wire fp32"));
  CHECK_THAT(refusal({.wire = "fp32,bf16"}),
             Contains("found --wire fp32,bf16"));
  Options nowhere{.server_device = "cuda:97"};
  CHECK_THAT(std::string(ResolveOptions(nowhere).message()),
             Contains("--server-device: cuda:97: this machine has"));
}

TEST_CASE("Automatic servers lie on a GPU where they can", "[cuda]") {
  const auto resolved = [](Options options) {
    options.server_device = "auto";
    REQUIRE(ResolveOptions(options).ok());
    return options.server_device;
  };
  CHECK(resolved({.transport = "inproc"}) == "cuda");
  CHECK(resolved({.transport = "auto"}) == "cpu");  // of other processes
  CHECK(resolved({.transport = "grpc"}) == "cpu");
  CHECK(resolved({.trainer = "hogwild", .transport = "inproc"}) == "cpu");
  CHECK(resolved({.wire = "bf16", .transport = "inproc"}) == "cpu");
}

}  // namespace
}  // namespace monsoon
