// SPDX-License-Identifier: Apache-2.0
#include "sim/cluster.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/sim/small_job.h"

namespace monsoon {
namespace {

// Without a network or noise in the time of steps, for hand-made arithmetic.
SmallJob Timed(int workers, int servers, int64_t samples) {
  SmallJob job;
  job.data = SmallJob::Data(samples);
  job.options = {.trainer = "adag",
                 .model = "mlp:8",
                 .set = {{"window", "1"}},
                 .workers = workers,
                 .servers = servers,
                 .batch_size = 1};
  job.options.given = {"workers"};
  job.spec.compute = {.low = absl::Seconds(1)};
  job.spec.network = {.rate = Rate{}, .latency = absl::ZeroDuration()};
  return job;
}

// An exchange of so many bytes takes a second in each port: P = 250000 is one
// shard of 1,000,000 bytes, the rate is 8 Mbit/s, the latency 0.1 s.
SmallJob OverSlowNetwork(int workers) {
  SmallJob job = Timed(workers, 1, workers);
  job.spec.compute = {.low = absl::Seconds(10)};
  job.spec.network = {.rate = Rate{1e6}, .latency = absl::Milliseconds(100)};
  job.spec.gradients = {.is_quadratic = true, .parameters = 250'000};
  return job;
}

TEST_CASE("Two workers at one server take turns at its ports") {
  const auto run = OverSlowNetwork(2).Run();
  REQUIRE(run.ok());
  // W0 brings the center: at the server's port at 0.1, there at 1.1, which W0
  // knows at 1.2. W1's pull came to the port at 0.1 too, behind it, and is
  // answered at 1.1: at W1's port at 1.2, there at 2.2. W0 pulls at 1.2, is
  // heard at 1.3, but the server's port sends to W1 until 2.1: the center is
  // at W0's port at 2.2, there at 3.2.
  //
  // W1 computes until 12.2; its update is at the server's port at 12.3 and
  // applied at 13.3; the reply is there at 13.3 + 0.1 + 1 = 14.4. W0 computes
  // until 13.2; its update is at the port at 13.3, which is then just free,
  // and applied at 14.3; the server's port has sent the reply to W1 by then,
  // and this one is there at 14.3 + 0.1 + 1 = 15.4.
  CHECK(run->virtual_s == Approx(15.4));
  // From the first answer, at 1.1, to the last update.
  CHECK(run->outcome.status.elapsed_s() == Approx(14.3 - 1.1));
  CHECK(run->outcome.status.members(0).report().startup_s() == Approx(3.2));
  CHECK(run->outcome.status.members(1).report().startup_s() == Approx(2.2));
  // Seconds in which a port was busy: the center in, two updates in; two pulls
  // and two replies out.
  CHECK(run->server_in.mean == Approx(3 / 15.4));
  CHECK(run->server_out.mean == Approx(4 / 15.4));
  CHECK(run->worker_in.mean == Approx(2 / 15.4));
  CHECK(run->worker_out.mean == Approx(1.5 / 15.4));
  CHECK(run->worker_out.max == Approx(2 / 15.4));
  CHECK(run->computing.mean == Approx(10 / 15.4));
  CHECK(run->server_core.max == 0);
  // W0's update came second, from the center before W1's.
  CHECK(run->outcome.status.members(0).report().staleness().at(1) == 1);
  CHECK(run->outcome.status.members(1).report().staleness().at(0) == 1);
}

TEST_CASE("A server's core takes its time for updates and replies") {
  SmallJob job = OverSlowNetwork(1);
  job.spec.server_rate = Rate{2e6};  // half a second for 1,000,000 bytes
  const auto run = job.Run();
  REQUIRE(run.ok());
  // The center is at the server at 1.1 and taken in at 1.6, known at 1.7. The
  // pull is there at 1.8, copied at 2.3, back at 2.3 + 0.1 + 1 = 3.4. Computed
  // at 13.4, at the server at 14.5, applied at 15, copied at 15.5, back
  // at 16.6.
  CHECK(run->virtual_s == Approx(16.6));
  CHECK(run->outcome.status.elapsed_s() == Approx(15.0 - 1.8));
  CHECK(run->server_core.mean == Approx(2 / 16.6));
}

TEST_CASE("Stragglers take their factor longer, short batches their part") {
  SmallJob job = Timed(4, 1, 20);  // 5 samples each
  job.options.batch_size = 2;      // steps of 1, 1 and 1/2 s
  CHECK(job.Run()->virtual_s == Approx(2.5));
  job.spec.stragglers = {.fraction = 0.25, .factor = 3};
  const auto run = job.Run();
  REQUIRE(run.ok());
  CHECK(run->virtual_s == Approx(7.5));
  CHECK(run->computing.max == Approx(1));
  CHECK(run->computing.mean == Approx((1 + 3 * 2.5 / 7.5) / 4));
}

TEST_CASE("The same seed gives the same bytes, another one others") {
  SmallJob job;
  job.options = {.trainer = "adag",
                 .model = "mlp:8",
                 .workers = 5,
                 .servers = 2,
                 .batch_size = 2,
                 .epochs = 4};
  job.options.given = {"workers"};
  job.spec.compute = {.kind = StepTime::kLognormal,
                      .low = absl::Milliseconds(20),
                      .sigma = 0.5};
  job.spec.crash = {.per_epoch = 0.3};
  job.options.eval_every = 50;
  const std::string first = job.Json();
  CHECK(first == job.Json());
  CHECK(first.find("\"curve\":[[") != std::string::npos);
  CHECK(first.find("\"status\":\"done\"") != std::string::npos);
  job.options.seed = 2;
  CHECK(first != job.Json());
}

TEST_CASE("A worker that crashes comes back, and its samples are counted") {
  for (const char* trainer : {"adag", "aeasgd", "downpour", "test_rounds"}) {
    CAPTURE(trainer);
    SmallJob job;
    job.data = SmallJob::Data(300);
    job.options = {.trainer = trainer,
                   .model = "mlp:8",
                   .workers = 6,
                   .batch_size = 3,
                   .epochs = 5};
    job.options.given = {"workers"};
    job.spec.crash = {.per_epoch = 0.5};
    job.spec.restart = absl::Seconds(3);
    const auto run = job.Run();
    REQUIRE(run.ok());
    CHECK(StateOf(run->outcome.status) == RunState::kDone);
    CHECK(run->crashes >= 5);
    CHECK(run->samples_lost >= run->crashes);
    int64_t samples = 0;
    for (const pb::Member& member : run->outcome.status.members()) {
      samples += member.report().samples();
    }
    CHECK(samples == 5 * 300);
    CHECK(run->samples_applied + run->samples_refused + run->samples_lost ==
          samples);
    // Whoever crashes is away for a while.
    CHECK(run->virtual_s > 3);
  }
}

TEST_CASE("Nobody waits for ever for who ends early or is slow") {
  for (const char* trainer : {"test_rounds", "test_bounded"}) {
    CAPTURE(trainer);
    SmallJob job = Timed(7, 3, 30);  // 5 samples for two of them, else 4
    job.options.trainer = trainer;
    job.spec.stragglers = {.fraction = 0.3, .factor = 4};
    const auto run = job.Run();
    REQUIRE(run.ok());
    CHECK(StateOf(run->outcome.status) == RunState::kDone);
    CHECK(run->samples_applied == 30);
    // The slowest is not slowed down, and the others wait for it.
    CHECK(run->virtual_s >= 16);
    CHECK(run->virtual_s <= 20);
  }
}

TEST_CASE("A training that diverges is an outcome with a finite center") {
  SmallJob job = Timed(3, 1, 600);
  job.options.set.clear();
  job.options.lr = 1e30;
  job.options.given.insert("lr");
  const auto run = job.Run();
  REQUIRE(run.ok());
  CHECK(StateOf(run->outcome.status) == RunState::kDiverged);
  CHECK(AllFinite(run->outcome.members.at(0).span()));
  CHECK(run->outcome.status.stop().find("diverged") != std::string::npos);
}

TEST_CASE("Without a network one worker learns what a real one does") {
  SmallJob job = Timed(1, 1, 60);
  job.options.trainer = "single";
  job.options.set.clear();
  job.options.epochs = 3;
  const auto run = job.Run();
  REQUIRE(run.ok());
  CHECK(run->outcome.status.elapsed_s() == Approx(180));
  const pb::WorkerReport& report = run->outcome.status.members(0).report();
  CHECK(report.steps() == 180);
  CHECK(report.loss_sum() / static_cast<double>(report.loss_samples()) < 0.3);
}

}  // namespace
}  // namespace monsoon
