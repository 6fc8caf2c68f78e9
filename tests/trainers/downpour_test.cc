// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/trainers/scripted_cluster.h"

namespace monsoon {
namespace {

using Values = std::vector<float>;

const std::map<std::string, std::string> kDelta = {{"form", "delta"},
                                                   {"window", "2"}};

TEST_CASE("Downpour applies each gradient where it arrives", "[trainers]") {
  ScriptedCluster cluster(
      {.trainer = "downpour", .workers = 2, .start = {8}, .gradient = Bowl});
  cluster.Run({0});  // g = 8: c = 8 - 0.5 * 8
  CHECK(cluster.Center() == Values{4});
  CHECK(cluster.x(0) == Values{4});
  cluster.Run({1});  // g = 8, of the start: c = 4 - 4
  CHECK(cluster.Center() == Values{0});
  CHECK(cluster.x(1) == Values{0});
  cluster.Run({0});  // g = 4, stale by one: c = 0 - 2
  CHECK(cluster.Center() == Values{-2});
  CHECK(cluster.x(0) == Values{-2});
}

TEST_CASE("Downpour sums the gradients of a window", "[trainers]") {
  const std::string window = GENERATE("2", "3", "4");
  CAPTURE(window);
  ScriptedCluster cluster({.trainer = "downpour",
                           .set = {{"window", window}},
                           .start = {8},
                           .gradient = Bowl});
  // x goes 8, 4, 2, 1 and the sum 8, 12, 14, 15; c = 8 - sum / 2.
  const int steps = std::stoi(window);
  cluster.RoundRobin(steps - 1);
  CHECK(cluster.Center() == Values{8});
  CHECK(cluster.x(0) == Values{16.0f / static_cast<float>(1 << steps)});
  cluster.RoundRobin(1);
  const Values sum{8, 12, 14, 15};
  CHECK(cluster.Center() ==
        Values{8 - sum[static_cast<size_t>(steps - 1)] / 2});
  CHECK(cluster.x(0) == cluster.Center());
  // The next window starts from nothing: g = c, then g = c / 2.
  const float c = cluster.Center()[0];
  cluster.RoundRobin(2);
  cluster.EndAll();
  CHECK(cluster.Center() == Values{c - 0.5f * (c + c / 2)});
}

TEST_CASE("Downpour flushes the gradients of the last window", "[trainers]") {
  ScriptedCluster cluster({.trainer = "downpour",
                           .set = {{"window", "4"}},
                           .start = {8},
                           .gradient = Bowl});
  cluster.RoundRobin(2);
  cluster.EndAll();  // sum = 8 + 4
  CHECK(cluster.Center() == Values{2});
  CHECK(cluster.counters(0).pushes == 1);
}

TEST_CASE("Downpour's server rule and rate are its own", "[trainers]") {
  ToyJob job{.trainer = "downpour",
             .set = {{"server_optimizer", "momentum"}, {"server_lr", "0.25"}},
             .start = {8},
             .gradient = Bowl};
  ScriptedCluster cluster(job);
  cluster.Run({0});  // v = 8, c = 8 - 2
  CHECK(cluster.Center() == Values{6});
  cluster.Run({0});  // v = 7.2 + 6 = 13.2, c = 6 - 3.3
  CHECK(cluster.Center()[0] == Approx(2.7));
}

TEST_CASE("Adagrad on the server steps by the rate at first", "[trainers]") {
  ScriptedCluster cluster({.trainer = "downpour",
                           .set = {{"server_optimizer", "adagrad"}},
                           .lr = 0.25f,
                           .start = {8, -1000, 0, 0.5f},
                           .gradient = Bowl});
  cluster.Run({0});
  CHECK(cluster.Center() == Values{7.75f, -999.75f, 0, 0.25f});
}

TEST_CASE("Downpour's delta form adds the way gone", "[trainers]") {
  ScriptedCluster cluster({.trainer = "downpour",
                           .set = kDelta,
                           .workers = 2,
                           .start = {8},
                           .gradient = Bowl});
  cluster.Run({0, 1, 0});  // x0: 8, 4, 2
  CHECK(cluster.Center() == Values{2});
  CHECK(cluster.x(1) == Values{4});
  cluster.Run({1});  // x1: 8, 4, 2: again -6
  CHECK(cluster.Center() == Values{-4});
  CHECK(cluster.x(1) == Values{-4});
  cluster.Run({0});
  cluster.End(0);  // x0: 2, 1 and the end: a tail of -1
  CHECK(cluster.Center() == Values{-5});
}

TEST_CASE("Pushes from one version reach the same center in any order",
          "[trainers]") {
  const std::string form = GENERATE("gradient", "delta");
  const std::vector<int> order =
      GENERATE(std::vector<int>{0, 1, 2}, std::vector<int>{1, 2, 0},
               std::vector<int>{2, 1, 0});
  ScriptedCluster cluster({.trainer = "downpour",
                           .set = {{"form", form}},
                           .workers = 3,
                           .lr = 1,
                           .start = {100, 7},
                           .gradient = Constant({-3, 5, 11})});
  cluster.Run(order);
  CHECK(cluster.Center() == Values{100 - 13, 7 - 13});
}

TEST_CASE("One worker's gradient Downpour is single, bit for bit",
          "[trainers]") {
  ToyJob job{.trainer = "downpour",
             .lr = 0.05f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Booth};
  const Values downpour = TrainAlone(job, 100);
  job.trainer = "single";
  CHECK(SameBits(downpour, TrainAlone(job, 100)));
  CHECK(downpour[0] != 90);
}

TEST_CASE("A server's rule takes the place of single's, bit for bit",
          "[trainers]") {
  const std::string name = GENERATE(from_range(ServerOptimizerNames()));
  CAPTURE(name);
  ToyJob job{.trainer = "downpour",
             .set = {{"server_optimizer", name}},
             .lr = 0.05f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Booth};
  const Values downpour = TrainAlone(job, 50);
  job.trainer = "single";
  job.set = {};
  job.optimizer = name;
  CHECK(SameBits(downpour, TrainAlone(job, 50)));
}

TEST_CASE("One worker's delta Downpour is single at any window", "[trainers]") {
  const std::string name = GENERATE(from_range(OptimizerNames()));
  const std::string window = GENERATE("1", "2", "3", "7");
  CAPTURE(name, window);
  ToyJob job{.trainer = "downpour",
             .set = {{"form", "delta"}, {"window", window}},
             .optimizer = name,
             .lr = 0.05f,
             .start = {90, 90, -3.7f, 11.1f},
             .gradient = Booth};
  const Values downpour = TrainAlone(job, 20);
  job.trainer = "single";
  job.set = {};
  const Values single = TrainAlone(job, 20);
  // One rounding an exchange, of numbers that began below 128.
  const double ulp = std::ldexp(1.0, 6 - 23);
  for (size_t i = 0; i < single.size(); ++i) {
    CHECK(std::abs(double{downpour[i]} - double{single[i]}) <= 20 * ulp);
  }
}

TEST_CASE("One worker's delta Downpour is exactly single on exact numbers",
          "[trainers]") {
  const std::string window = GENERATE("1", "2", "3", "7");
  CAPTURE(window);
  ToyJob job{.trainer = "downpour",
             .set = {{"form", "delta"}, {"window", window}},
             .start = {1024, -96},
             .gradient = Bowl};
  const Values downpour = TrainAlone(job, 11);
  job.trainer = "single";
  job.set = {};
  CHECK(downpour == TrainAlone(job, 11));
  CHECK(downpour[0] == 0.5f);
}

// |c| after a round robin of n workers with window 1 on x^2 / 2, which is
// c <- c - a * c of n - 1 pushes ago.
double AfterRoundRobin(int workers, double a) {
  ScriptedCluster cluster({.trainer = "downpour",
                           .workers = workers,
                           .lr = static_cast<float>(a),
                           .start = {1},
                           .gradient = Bowl});
  double c = 1;
  for (int i = 0; i < 100 && c < 1e6 && c > 1e-6; ++i) {
    cluster.RoundRobin(25);
    c = std::abs(double{cluster.Center()[0]});
  }
  return c;
}

TEST_CASE("Downpour diverges at the rate at which delay makes it",
          "[trainers]") {
  const int n = GENERATE(2, 4, 8);
  CAPTURE(n);
  const double pi = std::acos(-1.0);
  const double critical = 2 * std::sin(pi / (2 * (2 * (n - 1) + 1)));
  CHECK(AfterRoundRobin(n, 0.98 * critical) < 1e-3);
  CHECK(AfterRoundRobin(n, 1.03 * critical) > 1e3);
}

TEST_CASE("Downpour's form follows the local optimizer", "[trainers]") {
  JobFacts facts;
  CHECK(MakeTrainer("downpour", {}, facts)->resolved.at("form") == "gradient");
  facts.optimizer = "adam";
  CHECK(MakeTrainer("downpour", {}, facts)->resolved.at("form") == "delta");
}

TEST_CASE("Downpour's server rate is the workers' by default", "[trainers]") {
  JobFacts facts;
  facts.lr = 0.0123456f;
  const MadeTrainer made = *MakeTrainer("downpour", {}, facts);
  CHECK(made.resolved.at("server_lr") == "0.0123456");
  CHECK(made.resolved.at("server_optimizer") == "sgd");
  CHECK(made.resolved.at("window") == "1");
}

TEST_CASE("A bad server rule or rate of Downpour is refused", "[trainers]") {
  const auto message = [](const char* key, const char* value) {
    return std::string(
        MakeTrainer("downpour", {{key, value}}, {}).status().message());
  };
  CHECK_THAT(message("server_optimizer", "adagard"),
             Catch::Contains("did you mean \"adagrad\""));
  CHECK_THAT(message("server_lr", "0"), Catch::Contains("above 0"));
  CHECK_THAT(message("form", "weights"),
             Catch::Contains("gradient") && Catch::Contains("delta"));
  CHECK_THAT(message("window", "0"), Catch::Contains("1 or more"));
}

TEST_CASE("The gradient form refuses a local optimizer with a memory",
          "[trainers]") {
  const auto check = [](const std::string& form, const std::string& optimizer) {
    const MadeTrainer made = *MakeTrainer("downpour", {{"form", form}}, {});
    return CheckOptimizer("downpour", made.trainer->traits(),
                          **MakeOptimizer(optimizer, 0.1f));
  };
  CHECK(check("gradient", "sgd").ok());
  CHECK(check("delta", "adam").ok());
  const absl::Status status = check("gradient", "adam");
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()), Catch::Contains("form=delta"));
}

}  // namespace
}  // namespace monsoon
