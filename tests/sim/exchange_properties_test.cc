// SPDX-License-Identifier: Apache-2.0
// What an exchange promises, inside the simulator: whatever the trainer, and
// however bad the networks, every push is applied once, nothing is lost or
// counted twice, staleness is what it is said to be, and barriers hold. Each
// seed is another cluster; a failing one is printed with what replays it.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <numeric>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/sim/audited_calls.h"
#include "tests/sim/small_job.h"
#include "transport/faulty.h"

namespace monsoon {
namespace {

constexpr uint64_t kSeeds = 500, kShares = 10;
constexpr uint64_t kShapeStream = 300, kFaultStream = 301;

// The cluster of one seed.
struct Drawn {
  explicit Drawn(uint64_t seed);

  SmallJob job;
  Traits traits;
  Faults faults;
};

Drawn::Drawn(uint64_t seed) {
  Random random({seed, kShapeStream});
  const auto below = [&](uint64_t bound) {
    return static_cast<int>(random.Below(bound));
  };
  std::vector<std::string> trainers = TrainerNames();
  std::erase_if(trainers, [](const std::string& name) {
    // There is no network to be simulated.
    return MakeTrainer(name, {}, {})->trainer->traits().maps_center;
  });
  Options& options = job.options;
  options.trainer = trainers[random.Below(trainers.size())];
  const TrainerEntry& entry = **FindTrainer(options.trainer);
  options.optimizer = entry.optimizer;
  options.lr = double{entry.lr};
  options.seed = seed;
  options.servers = 1 + below(3);
  options.batch_size = 1 + below(4);
  options.epochs = 1 + below(3);
  options.given = {"workers"};
  const auto made = TrainerOf(options);
  REQUIRE(made.ok());
  traits = made->trainer->traits();
  options.workers =
      std::max(traits.min_workers, std::min(traits.max_workers, 2 + below(5)));
  job.data = SmallJob::Data(options.workers * (4 + below(30)));
  SimulationSpec& spec = job.spec;
  spec.gradients = {.is_quadratic = true, .parameters = 20 + below(200)};
  spec.compute = {.kind = StepTime::kLognormal,
                  .low = absl::Milliseconds(1 + below(40)),
                  .sigma = random.Uniform(0, 2)};
  spec.network = {.rate = Rate{1e3 * (1 + below(1000))},
                  .latency = absl::Microseconds(below(20'000))};
  if (below(2) == 0) spec.server_rate = Rate{1e4 * (1 + below(1000))};
  if (below(2) == 0) spec.stragglers = {.fraction = 0.3, .factor = 5};
  if (below(2) == 0) spec.crash = {.per_epoch = random.Uniform(0, 1)};
  spec.restart = absl::Milliseconds(below(3000));
  if (below(4) == 0) return;  // a good network
  faults = {.drop_before = random.Uniform(0, 0.15f),
            .cut = random.Uniform(0, 0.1f),
            .drop_after = random.Uniform(0, 0.15f),
            .duplicate = random.Uniform(0, 0.15f),
            .delay = random.Uniform(0, 0.3f),
            .late = random.Uniform(0, 0.1f),
            .max_delay = absl::Milliseconds(1 + below(400))};
}

std::string Check(const Drawn& drawn, const Simulation& run,
                  const std::deque<AuditedCalls>& servers) {
  const pb::JobStatus& status = run.outcome.status;
  if (StateOf(status) != RunState::kDone) {
    return absl::StrCat("it ended as ", StateName(StateOf(status)), ": ",
                        status.stop(), "\n");
  }
  int64_t samples = 0, stale = 0;
  for (const pb::Member& member : status.members()) {
    samples += member.report().samples();
    for (const auto& [staleness, pushes] : member.report().staleness()) {
      stale += pushes;
    }
  }
  std::string wrong;
  const auto same = [&](const char* what, int64_t found, int64_t expected) {
    if (found == expected) return;
    absl::StrAppend(&wrong, what, ": found ", found, ", expected ", expected,
                    "\n");
  };
  same("samples consumed", samples,
       drawn.job.data.total * drawn.job.options.epochs);
  if (drawn.traits.pushes == Payload::kNone) return wrong;
  same("applied, refused and lost",
       run.samples_applied + run.samples_refused + run.samples_lost, samples);
  int64_t pushes = 0;
  for (const AuditedCalls& server : servers) pushes += server.pushes();
  same("pushes of shards in the histogram", stale, pushes);
  if (drawn.job.options.trainer == "test_integers") {
    const Flat& center = run.outcome.members.at(0);
    double sum = 0;
    for (int64_t i = 0; i < center.size(); ++i) sum += double{center[i]};
    same("the sum of the center", static_cast<int64_t>(sum),
         run.samples_applied);
  }
  return wrong;
}

struct Ran {
  std::string failures;
  int64_t pushes = 0, repeats = 0, crashes = 0;
};

Ran Run(uint64_t seed) {
  Drawn drawn(seed);
  std::deque<AuditedCalls> servers;
  std::deque<FaultyCalls> networks;
  drawn.job.seams.server = [&](int, ServerCalls& next,
                               VirtualClock& clock) -> ServerCalls& {
    return servers.emplace_back(next, clock, LeaseOf(drawn.job.spec));
  };
  drawn.job.seams.worker = [&](int worker, int server, ServerCalls& next,
                               VirtualClock& clock) -> ServerCalls& {
    return networks.emplace_back(
        next,
        Random{seed, kFaultStream, static_cast<uint64_t>(worker),
               static_cast<uint64_t>(server)},
        drawn.faults,
        [&clock](absl::Duration delay, std::function<void()> action) {
          clock.After(delay, std::move(action));
        });
  };
  drawn.job.seams.at_end = [&] {
    for (AuditedCalls& server : servers) server.CheckEnd();
  };
  const absl::StatusOr<Simulation> run = drawn.job.Run();
  Ran ran;
  if (!run.ok()) {
    ran.failures = run.status().ToString();
    return ran;
  }
  ran.failures = Check(drawn, *run, servers);
  ran.crashes = run->crashes;
  for (const AuditedCalls& server : servers) {
    ran.failures += server.failures();
    ran.pushes += server.pushes();
    ran.repeats += server.repeats();
  }
  if (!ran.failures.empty()) {
    ran.failures =
        absl::StrCat("trainer ", drawn.job.options.trainer, ", ",
                     drawn.job.options.workers, " workers:\n", ran.failures);
  }
  return ran;
}

// The one that MONSOON_SEED names, to look into it; else `all`.
std::vector<uint64_t> Wanted(const std::vector<uint64_t>& all) {
  const char* const text = std::getenv("MONSOON_SEED");
  if (text == nullptr) return all;
  uint64_t seed = 0;
  REQUIRE(absl::SimpleAtoi(text, &seed));
  return {seed};
}

// The seeds of one share of kShares, so that ctest runs several at a time.
void RunShare(uint64_t share) {
  std::vector<uint64_t> seeds;
  for (uint64_t seed = share; seed < kSeeds; seed += kShares) {
    seeds.push_back(seed);
  }
  seeds = Wanted(seeds);
  Ran all;
  for (const uint64_t seed : seeds) {
    const Ran ran = Run(seed);
    all.pushes += ran.pushes;
    all.repeats += ran.repeats;
    all.crashes += ran.crashes;
    INFO("seed " << seed << "; replay it: MONSOON_SEED=" << seed
                 << " exchange_properties_test \"*seeds 0 *\"\n"
                 << ran.failures);
    CHECK(ran.failures.empty());
  }
  if (seeds.size() == 1) return;
  // It was no easy life.
  CHECK(all.pushes > 1000);
  CHECK(all.repeats > 100);
  CHECK(all.crashes > 20);
}

TEST_CASE("Exchanges keep their promises, seeds 0 10 ...") { RunShare(0); }
TEST_CASE("Exchanges keep their promises, seeds 1 11 ...") { RunShare(1); }
TEST_CASE("Exchanges keep their promises, seeds 2 12 ...") { RunShare(2); }
TEST_CASE("Exchanges keep their promises, seeds 3 13 ...") { RunShare(3); }
TEST_CASE("Exchanges keep their promises, seeds 4 14 ...") { RunShare(4); }
TEST_CASE("Exchanges keep their promises, seeds 5 15 ...") { RunShare(5); }
TEST_CASE("Exchanges keep their promises, seeds 6 16 ...") { RunShare(6); }
TEST_CASE("Exchanges keep their promises, seeds 7 17 ...") { RunShare(7); }
TEST_CASE("Exchanges keep their promises, seeds 8 18 ...") { RunShare(8); }
TEST_CASE("Exchanges keep their promises, seeds 9 19 ...") { RunShare(9); }

}  // namespace
}  // namespace monsoon
