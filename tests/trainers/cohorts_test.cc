// SPDX-License-Identifier: Apache-2.0
// The cohorts of the federated trainers: who takes part in a round, and who
// waits.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "server/server.h"
#include "tests/trainers/scripted_cluster.h"
#include "transport/forwarding.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;
using Set = std::map<std::string, std::string>;

// Whom the servers wait for in a round, of all.
std::vector<int> Cohort(const Trainer& trainer, int64_t round, int workers) {
  std::vector<int> cohort;
  for (int w = 0; w < workers; ++w) {
    if (trainer.Quorum(round, {w}) == 1) cohort.push_back(w);
  }
  return cohort;
}

TEST_CASE("A cohort is the same on both halves, and moves by its own mean",
          "[trainers]") {
  const std::string fraction = GENERATE("0.25", "0.5", "1");
  const std::string seed = GENERATE("1", "2");
  const int shards = GENERATE(1, 3);
  CAPTURE(fraction, seed, shards);
  const Set set = {{"fraction", fraction}, {"cohort_seed", seed}};
  JobFacts facts;
  facts.workers = 4;
  const MadeTrainer made = *MakeTrainer("fedavg", set, facts);
  ScriptedCluster cluster({.trainer = "fedavg",
                           .set = set,
                           .workers = 4,
                           .shards = shards,
                           .lr = 1,
                           .start = {0, 0, 0},
                           .gradient = Constant({-4, 8, -16, 32})});
  float center = 0;
  for (int64_t round = 0; round < 20; ++round) {
    CAPTURE(round);
    const std::vector<int> cohort = Cohort(*made.trainer, round, 4);
    REQUIRE(cohort.size() == static_cast<size_t>(4 * std::stod(fraction)));
    REQUIRE(made.trainer->Quorum(round, {0, 1, 2, 3}) ==
            static_cast<int>(cohort.size()));
    for (int w = 0; w < 4; ++w) {
      const bool takes_part = std::count(cohort.begin(), cohort.end(), w) > 0;
      REQUIRE(cluster.IsWaiting(w) != takes_part);
      if (takes_part) CHECK(cluster.x(w) == Values(3, center));
    }
    float sum = 0;
    for (int w : cohort) sum += Values{4, -8, 16, -32}[static_cast<size_t>(w)];
    center += sum / static_cast<float>(cohort.size());
    cluster.Run(cohort);
    REQUIRE(cluster.Center() == Values(3, center));
  }
}

TEST_CASE("Every client takes its turn, about as often as the others",
          "[trainers]") {
  const int workers = GENERATE(2, 7, 20);
  JobFacts facts;
  facts.workers = workers;
  const MadeTrainer made = *MakeTrainer("fedavg", {{"fraction", "0.3"}}, facts);
  const int size = std::max(1, workers * 3 / 10);
  std::vector<int> turns(static_cast<size_t>(workers));
  constexpr int kRounds = 2000;
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<int> cohort = Cohort(*made.trainer, round, workers);
    CHECK(static_cast<int>(cohort.size()) == size);
    for (int w : cohort) ++turns[static_cast<size_t>(w)];
  }
  const double fair = double{kRounds} * size / workers;
  // Six times the deviation of as many coins.
  for (int count : turns) CHECK(std::abs(count - fair) < 6 * std::sqrt(fair));
}

TEST_CASE("A round whose cohort has ended passes", "[trainers]") {
  JobFacts facts;
  facts.workers = 4;
  const Set set = {{"fraction", "0.25"}};
  const MadeTrainer made = *MakeTrainer("fedavg", set, facts);
  ScriptedCluster cluster({.trainer = "fedavg",
                           .set = set,
                           .workers = 4,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-1, -1, -1, -1})});
  // Whoever's turn it is leaves, until one is left.
  std::vector<int> live = {0, 1, 2, 3};
  while (live.size() > 1) {
    const auto turn = std::find_if(
        live.begin(), live.end(), [&](int w) { return !cluster.IsWaiting(w); });
    REQUIRE(turn != live.end());
    cluster.End(*turn);
    live.erase(turn);
  }
  CHECK(cluster.Center() == Values{0});
  for (int step = 1; step <= 10; ++step) {
    REQUIRE_FALSE(cluster.IsWaiting(live[0]));
    cluster.Run(live);
    CHECK(cluster.Center() == Values{static_cast<float>(step)});
  }
  cluster.EndAll();
}

TEST_CASE("Clients of cohorts all come to their end", "[trainers]") {
  const std::string fraction = GENERATE("0.2", "0.6");
  // Who has done its steps leaves, here as in a job.
  constexpr int64_t kSteps = 40;
  ToyJob job{.trainer = "fedavg",
             .set = {{"fraction", fraction}},
             .workers = 5,
             .shards = 3,
             .lr = 1,
             .start = Values(6),
             .gradient = Constant({-1, -1, -1, -1, -1})};
  ScriptedCluster cluster(job);
  std::vector<int64_t> steps(5);
  int64_t rounds = 0;
  for (bool any = true; any; ++rounds) {
    any = false;
    for (int w = 0; w < 5; ++w) {
      int64_t& done = steps[static_cast<size_t>(w)];
      if (done > kSteps || cluster.IsWaiting(w)) continue;
      any = true;
      ++done;
      if (done <= kSteps) cluster.Run({w});
      if (done > kSteps) cluster.End(w);
    }
  }
  cluster.EndAll();
  CHECK(steps == std::vector<int64_t>(5, kSteps + 1));
  CHECK(cluster.JobStatusOf(0).samples_applied() == 5 * kSteps);
}

// Two shards on a server where, each time that rank 1 asks a shard for its
// first next round, rank 0 is done with one more on both: so the shards answer
// rank 1 with different versions.
class Hurried final : public ForwardingCalls {
 public:
  Hurried() : ForwardingCalls(server_) {}

  void Exchange(ExchangeCall& call) override {
    const pb::ExchangeRequest& request = call.request;
    if (request.worker() == 1 && request.kind() == Request::PULL &&
        request.shard() == rounds_ && request.rounds() > 0) {
      for (int shard : {0, 1}) Push(request, shard);
      ++rounds_;
    }
    server_.Exchange(call);
  }

 private:
  using Request = pb::ExchangeRequest;
  struct Unanswered final : ExchangeCall {
    absl::Span<char> ReplyBuffer(size_t) override { return {}; }
    void Finish(absl::Status, pb::ExchangeReply) override {}
  };

  void Push(const Request& asked, int shard) {
    const float one = 1;
    Unanswered push;
    push.request.set_kind(Request::PUSH);
    push.request.set_job_id(asked.job_id());
    push.request.set_worker(0);
    push.request.set_incarnation(1);
    push.request.set_shard(shard);
    push.request.set_sequence(static_cast<uint64_t>(rounds_) + 1);
    push.request.set_base_version(rounds_);
    push.request.set_weight(1);
    push.update = AsBytes({&one, 1});
    server_.Exchange(push);
  }

  Server server_{RealClock()};
  int rounds_ = 0;  // that rank 0 is done with
};

TEST_CASE("A client whose shards are at different rounds gets its turn",
          "[trainers]") {
  JobFacts facts;
  facts.workers = 2;
  Set set = {{"fraction", "0.5"}};
  // Rounds 0 and 1 are rank 0's, round 2 is rank 1's.
  for (int seed = 0;; ++seed) {
    REQUIRE(seed < 1000);
    set["cohort_seed"] = std::to_string(seed);
    const MadeTrainer made = *MakeTrainer("fedavg", set, facts);
    if (Cohort(*made.trainer, 0, 2)[0] == 0 &&
        Cohort(*made.trainer, 1, 2)[0] == 0 &&
        Cohort(*made.trainer, 2, 2)[0] == 1) {
      break;
    }
  }
  ScriptedCluster cluster(
      {.trainer = "fedavg",
       .set = set,
       .workers = 2,
       .shards = 2,
       .lr = 1,
       .start = {0, 0},
       .gradient = Constant({0, -1}),
       .make_server = [] { return std::make_unique<Hurried>(); }});
  // It was answered version 1 by the one and 2 by the other.
  REQUIRE_FALSE(cluster.IsWaiting(1));
  CHECK(cluster.x(1) == Values{2, 2});
  cluster.Run({1});
  CHECK(cluster.Center() == Values{3, 3});
}

TEST_CASE("Another seed draws other cohorts", "[trainers]") {
  JobFacts facts;
  facts.workers = 10;
  facts.seed = 5;
  const auto cohorts = [&facts](const Set& set) {
    const MadeTrainer made = *MakeTrainer("fedavg", set, facts);
    std::vector<std::vector<int>> all;
    for (int64_t round = 0; round < 20; ++round) {
      all.push_back(Cohort(*made.trainer, round, 10));
    }
    return all;
  };
  const auto own = cohorts({{"fraction", "0.3"}});
  CHECK(own == cohorts({{"fraction", "0.3"}, {"cohort_seed", "5"}}));
  CHECK(own != cohorts({{"fraction", "0.3"}, {"cohort_seed", "6"}}));
}

}  // namespace
}  // namespace monsoon
