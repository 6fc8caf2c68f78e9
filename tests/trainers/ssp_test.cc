// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/trainers/refusal.h"
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

TEST_CASE("SSP adds the way of a clock and holds who leads by too much",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "ssp",
                           .set = {{"window", "2"}, {"max_lead", "1"}},
                           .workers = 2,
                           .lr = 0.5f,
                           .start = {8},
                           .gradient = Bowl});
  cluster.Run({0, 0});  // 8, 4, 2: one clock ahead
  CHECK(cluster.Center() == Values{2});
  CHECK_FALSE(cluster.IsWaiting(0));
  cluster.Run({0, 0});  // 2, 1, 0.5: two clocks ahead
  CHECK(cluster.Center() == Values{0.5f});
  CHECK(cluster.IsWaiting(0));
  cluster.Run({1});
  CHECK(cluster.IsWaiting(0));  // steps are no clocks
  cluster.Run({1});             // -6, stale by two: c = 0.5 - 6, whole
  CHECK(cluster.Center() == Values{-5.5f});
  CHECK_FALSE(cluster.IsWaiting(0));
  CHECK(cluster.x(0) == Values{-5.5f});
  CHECK(cluster.x(1) == Values{-5.5f});
  cluster.Run({1});  // a tail of 5.5 / 2
  cluster.EndAll();
  CHECK(cluster.Center() == Values{-2.75f});
}

// Any integers will do.
std::vector<int> Random(int seed, int length, int below) {
  std::vector<int> numbers;
  for (int i = 0; i < length; ++i) {
    seed = (seed * 75 + 74) % 65537;
    numbers.push_back(seed / 7 % below);
  }
  return numbers;
}

// Element w of the center counts the clocks of worker w that are in it. Every
// gradient is taken at a center that its worker may read: at clock k, with all
// updates of clocks up to k - s - 1, and all of its own.
TEST_CASE("SSP's bound and what it lets a worker see hold on every step",
          "[trainers]") {
  const int workers = GENERATE(2, 3, 5);
  const int64_t bound = GENERATE(0, 1, 3);
  const int shards = GENERATE(1, 2);
  CAPTURE(workers, bound, shards);
  int64_t unseen = 0, reads = 0;
  ToyJob job{
      .trainer = "ssp",
      .set = {{"window", "1"}, {"max_lead", std::to_string(bound)}},
      .workers = workers,
      .shards = shards,
      .lr = 1,
      .start = Values(static_cast<size_t>(workers)),
      .gradient = [&](int worker, int64_t clock, const Flat& x, Flat& g) {
        ++reads;
        for (int64_t i = 0; i < x.size(); ++i) {
          const auto seen = static_cast<int64_t>(x[i]);
          const bool is_own = i == worker;
          if (seen < (is_own ? clock : clock - bound)) ++unseen;
          g[i] = is_own ? -1.0f : 0.0f;
        }
      }};
  ScriptedCluster cluster(job);
  std::vector<int64_t> clocks(static_cast<size_t>(workers));
  bool waited = false;
  // Long runs of one worker, so that it comes to the bound.
  for (int turn : Random(workers, 300, workers * 8)) {
    const int worker = turn % 3 == 0 ? 0 : turn % workers;
    if (!cluster.IsWaiting(worker)) {
      ++clocks[static_cast<size_t>(worker)];
      cluster.Run({worker});
    }
    const auto [slowest, fastest] =
        std::minmax_element(clocks.begin(), clocks.end());
    REQUIRE(*fastest - *slowest <= bound + 1);
    for (int w = 0; w < workers; ++w) {
      const bool leads = clocks[static_cast<size_t>(w)] - *slowest > bound;
      REQUIRE(cluster.IsWaiting(w) == leads);
      waited = waited || leads;
    }
  }
  CHECK(waited);
  CHECK(reads > 50);
  CHECK(unseen == 0);
  cluster.EndAll();
  const Values center = cluster.Center();
  for (size_t w = 0; w < clocks.size(); ++w) {
    CHECK(center[w] == static_cast<float>(clocks[w]));
  }
}

TEST_CASE("Who ends early holds nobody back in SSP", "[trainers]") {
  ScriptedCluster cluster({.trainer = "ssp",
                           .set = {{"window", "1"}, {"max_lead", "1"}},
                           .workers = 3,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-1, -1, -1})});
  cluster.Run({0, 0, 1});
  CHECK(cluster.IsWaiting(0));
  cluster.End(2);
  CHECK_FALSE(cluster.IsWaiting(0));
  cluster.Run({0});
  CHECK(cluster.IsWaiting(0));
  cluster.End(1);
  CHECK_FALSE(cluster.IsWaiting(0));
  for (int i = 0; i < 20; ++i) cluster.Run({0});  // alone: nobody to wait for
  CHECK(cluster.Center() == Values{24});
}

TEST_CASE("One worker's SSP never waits and is delta Downpour, bit for bit",
          "[trainers]") {
  const std::string lead = GENERATE("0", "3");
  const std::string window = GENERATE("1", "5");
  ToyJob job{.trainer = "ssp",
             .set = {{"window", window}, {"max_lead", lead}},
             .lr = 0.01f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Booth};
  const Values ssp = TrainAlone(job, 22);
  job.trainer = "downpour";
  job.set = {{"window", window}, {"form", "delta"}};
  CHECK(SameBits(ssp, TrainAlone(job, 22)));
}

// With a barrier at each clock the updates of a round are all taken at one
// center, and added: the mean of local SGD, with the rate times the workers.
TEST_CASE("SSP without a lead is synchronous SGD of summed updates",
          "[trainers]") {
  const int workers = GENERATE(2, 4);
  const std::vector<int> order = Random(5, 400, workers);
  ToyJob job{.trainer = "ssp",
             .set = {{"window", "1"}, {"max_lead", "0"}},
             .workers = workers,
             .lr = 0.125f / static_cast<float>(workers),
             .start = {1024, -96},
             .gradient = Bowl};
  ScriptedCluster ssp(job);
  job.trainer = "sync";
  job.set = {{"linear_scaling", "true"}};
  ScriptedCluster sync(job);
  for (int round = 0; round < 4; ++round) {
    ssp.RoundRobin(1);
    sync.RoundRobin(1);
    CHECK(ssp.Center() == sync.Center());
    for (int w = 0; w < workers; ++w) CHECK(ssp.x(w) == sync.Center());
  }
  CHECK(ssp.Center()[0] == 1024 * 0.875f * 0.875f * 0.875f * 0.875f);
}

TEST_CASE("SSP's integer updates are all in the center, on threads",
          "[trainers]") {
  const std::string lead = GENERATE("0", "2");
  ScriptedCluster cluster({.trainer = "ssp",
                           .set = {{"window", "3"}, {"max_lead", lead}},
                           .workers = 3,
                           .shards = 4,
                           .servers = 2,
                           .lr = 1,
                           .start = Values(9, 5),
                           .gradient = Constant({-1, 2, -4})});
  REQUIRE(cluster.RunThreads(99).ok());
  CHECK(cluster.Center() == Values(9, 5 + 99 * 3));
}

TEST_CASE("SSP's keys, defaults and refusals", "[trainers]") {
  CHECK(MakeTrainer("ssp", {}, {})->resolved ==
        Set{{"window", "1"}, {"max_lead", "3"}});
  CHECK_THAT(Refusal("ssp", {{"max_lead", "-1"}}),
             Catch::Contains("max_lead=-1") && Catch::Contains("0 or more"));
  CHECK_THAT(Refusal("ssp", {{"staleness", "1"}}),
             Catch::Contains("trainer ssp") && Catch::Contains("max_lead"));
}

}  // namespace
}  // namespace monsoon
