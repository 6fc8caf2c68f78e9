// SPDX-License-Identifier: Apache-2.0
#include "report/claims.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/report/some_runs.h"

namespace monsoon {
namespace {

TEST_CASE("runs are grouped by what may be compared, repeats in one cell") {
  std::vector<RunSummary> runs = SomeRuns();
  runs.push_back(SomeRun("adag", 32, 1, 20, 0.9));
  runs.back().model = "cnn";
  runs.push_back(SomeRun("adag", 32, 1, 10, 0.9));
  runs.back().epochs = 2;
  runs.push_back(SomeRun("adag", 32, 1, 1, 0.9));
  runs.back().transport = "virtual";
  const std::vector<RunGroup> groups = GroupRuns(runs);
  REQUIRE(groups.size() == 4);
  CHECK(groups[0].title == "mlp on fashion-mnist, 1 epoch");
  CHECK(groups[1].title == "cnn on fashion-mnist, 1 epoch");
  CHECK(groups[2].title == "mlp on fashion-mnist, 2 epochs");
  CHECK(groups[3].title == "mlp on fashion-mnist, 1 epoch, simulated");
  CHECK(groups[0].batch_sizes == std::vector<int64_t>{32, 128});
  REQUIRE(groups[0].cells.size() == 4);
  const RunCell& cell = *groups[0].Find(0, 128);
  CHECK(cell.runs == std::vector<size_t>{3, 4, 5});
  CHECK(cell.done == 2);
  CHECK(cell.endings == std::map<std::string, int>{{"failed", 1}});
  CHECK(cell.elapsed.median == 7);
  CHECK(cell.elapsed.min == 6);
  CHECK(cell.elapsed.max == 8);
  CHECK(cell.accuracy.median == Approx(0.835));
  CHECK(groups[0].Find(0, 64) == nullptr);
}

TEST_CASE("a variant is named by what tells it from others of its trainer") {
  std::vector<RunSummary> runs = {
      SomeRun("single", 32, 1, 8, 0.85), SomeRun("adag", 32, 1, 5, 0.85),
      SomeRun("adag", 32, 1, 3, 0.85), SomeRun("gem", 32, 1, 3, 0.85),
      SomeRun("gem", 32, 1, 4, 0.85)};
  // The hyper-parameter follows from the number of workers, so it is not said.
  runs[1].settings = {{"workers", "2"}, {"wire", "fp32"}, {"hyper.alpha", "2"}};
  runs[2].settings = {{"workers", "4"}, {"wire", "fp32"}, {"hyper.alpha", "4"}};
  runs[2].workers = 4;
  runs[4].settings = {
      {"workers", "2"}, {"wire", "bf16"}, {"hyper.window", "4"}};
  const RunGroup group = GroupRuns(runs)[0];
  REQUIRE(group.variants.size() == 5);
  CHECK(group.variants[0].name == "single (1 worker)");
  CHECK(group.variants[1].name == "adag, 2 workers");
  CHECK(group.variants[2].name == "adag, 4 workers");
  CHECK(group.variants[2].family == "adag");
  CHECK(group.variants[3].name == "gem, fp32");
  CHECK(group.variants[4].name == "gem, bf16");
}

TEST_CASE("two benches of the same are told apart, runs by hand are repeats") {
  std::vector<RunSummary> runs = {SomeRun("adag", 32, 1, 5, 0.85),
                                  SomeRun("adag", 32, 1, 3, 0.85)};
  runs[1].folder = "bench/second";
  const RunGroup benches = GroupRuns(runs)[0];
  REQUIRE(benches.variants.size() == 2);
  CHECK(benches.variants[1].name == "adag, bench/second");
  runs[0].is_bench = runs[1].is_bench = false;
  const RunGroup by_hand = GroupRuns(runs)[0];
  REQUIRE(by_hand.variants.size() == 1);
  CHECK(by_hand.cells[0].elapsed.median == 4);
}

TEST_CASE("the three answers are the medians' and say what is not certain") {
  const std::vector<RunSummary> runs = SomeRuns();
  const RunGroup group = GroupRuns(runs)[0];
  const std::vector<Claim> claims = GroupClaims(group);
  REQUIRE(claims.size() == 3);
  CHECK(claims[0].title == "Fastest");
  CHECK(claims[0].what == "adag at batch 128");
  CHECK(claims[0].value == "3.50 s");
  // 7 / 3.5; one run is done, so there is no range.
  CHECK(claims[0].text ==
        "adag at batch 128 is fastest: 3.50 s (one run), 2.0 × as fast as "
        "single.");
  CHECK(claims[1].text ==
        "single (1 worker) at batch 32 is most accurate: 0.8550 (95 % interval "
        "0.8500 to 0.8600 of 3 runs).");
  // 0.846 is within a point of 0.855, 0.81 is not.
  CHECK(claims[2].title == "Recommended");
  CHECK(claims[2].value == "5.00 s, 0.8460");
  CHECK(claims[2].text ==
        "adag at batch 32 is the fastest within 1 point of the best accuracy "
        "(0.8550): 5.00 s, accuracy 0.8460, 1.8 × as fast as single.");
}

TEST_CASE("exactly a point below the best is near enough, and no less") {
  std::vector<RunSummary> runs = {SomeRun("single", 32, 1, 8, 0.85),
                                  SomeRun("adag", 32, 1, 4, 0.84)};
  CHECK(RecommendedCell(GroupRuns(runs)[0])->variant == 1);
  runs[1].test_acc = 0.8399;
  CHECK(RecommendedCell(GroupRuns(runs)[0])->variant == 0);
}

TEST_CASE("windows and servers tell variants apart") {
  std::vector<RunSummary> runs = {
      SomeRun("adag", 32, 1, 5, 0.85), SomeRun("adag", 32, 1, 3, 0.85),
      SomeRun("adag", 32, 1, 2, 0.85), SomeRun("single", 32, 1, 9, 0.85)};
  for (RunSummary& run : runs) run.settings = {{"servers", "1"}};
  runs[0].settings.emplace_back("hyper.window", "5");
  runs[1].settings.emplace_back("hyper.window", "10");
  runs[2].settings = {{"servers", "2"}, {"hyper.window", "5"}};
  const RunGroup group = GroupRuns(runs)[0];
  REQUIRE(group.variants.size() == 4);
  CHECK(group.variants[0].name == "adag, 1 server, window 5");
  CHECK(group.variants[1].name == "adag, 1 server, window 10");
  CHECK(group.variants[2].name == "adag, 2 servers, window 5");
  CHECK(group.variants[3].name == "single (1 worker)");
}

TEST_CASE("intervals that meet are said, where there are enough repeats") {
  std::vector<RunSummary> runs;
  for (const uint64_t seed : {1, 2, 3}) {
    const double more = 0.5 * static_cast<double>(seed);
    runs.push_back(SomeRun("downpour", 32, seed, 4 + more, 0.8));
    runs.push_back(SomeRun("adag", 32, seed, 5 + more, 0.7));
  }
  CHECK(GroupClaims(GroupRuns(runs)[0])[0].text ==
        "downpour at batch 32 is fastest: 5.00 s (95 % interval 4.50 to 5.50 "
        "of 3 runs). Its interval overlaps with adag at batch 32.");
}

TEST_CASE("ranges that meet are said") {
  const std::vector<RunSummary> runs = {
      SomeRun("downpour", 32, 1, 5, 0.8), SomeRun("downpour", 32, 2, 6, 0.8),
      SomeRun("adag", 32, 1, 6, 0.7),     SomeRun("adag", 32, 2, 7, 0.7),
      SomeRun("gem", 32, 1, 6.5, 0.7),    SomeRun("gem", 32, 2, 7, 0.7)};
  const std::vector<Claim> claims = GroupClaims(GroupRuns(runs)[0]);
  CHECK(claims[0].text ==
        "downpour at batch 32 is fastest: 5.50 s (5.00 to 6.00 in 2 runs). "
        "Its range overlaps with adag at batch 32.");
}

TEST_CASE("charts claim what their medians show") {
  const std::vector<RunSummary> runs = SomeRuns();
  const RunGroup group = GroupRuns(runs)[0];
  CHECK(ElapsedClaim(group) ==
        "adag is fastest at batch 128: 3.50 s, 2.0 × as fast as single.");
  // 0.855 - 0.835 = 0.02; 0.846 - 0.81 = 0.036
  CHECK(
      AccuracyClaim(group) ==
      "single (1 worker) is most accurate at batch 32: 0.8550. Over the batch "
      "sizes, the accuracy of single (1 worker) moves least (0.0200), that of "
      "adag most (0.0360).");
}

TEST_CASE("speed is compared with single at the same batch size alone") {
  const std::vector<RunSummary> runs = {SomeRun("single", 32, 1, 8, 0.85),
                                        SomeRun("adag", 32, 1, 5, 0.85),
                                        SomeRun("adag", 128, 1, 2, 0.85)};
  const RunGroup group = GroupRuns(runs)[0];
  CHECK(SpeedUp(group, *group.Find(1, 32)) == 1.6);
  CHECK(std::isnan(SpeedUp(group, *group.Find(1, 128))));
  CHECK(std::isnan(SpeedUp(group, *group.Find(0, 32))));
  CHECK(ElapsedClaim(group) == "adag is fastest at batch 128: 2.00 s.");
}

TEST_CASE("where no run is done there is nothing to claim but that") {
  std::vector<RunSummary> runs;
  for (const RunSummary& run : SomeRuns()) {
    runs.push_back(Ended(run, run.seed == 1 ? "diverged" : "failed"));
  }
  const RunGroup group = GroupRuns(runs)[0];
  const std::vector<Claim> claims = GroupClaims(group);
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].text == "No run is done: 4 diverged and 8 failed.");
  CHECK(ElapsedClaim(group).empty());
  CHECK(AccuracyClaim(group).empty());
  CHECK(RecommendedCell(group) == nullptr);
}

TEST_CASE("without an accuracy, there is still a fastest") {
  std::vector<RunSummary> runs = {SomeRun("adag", 32, 1, 5, 0)};
  runs[0].test_acc = RunSummary::kNone;
  const std::vector<Claim> claims = GroupClaims(GroupRuns(runs)[0]);
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].title == "Fastest");
}

}  // namespace
}  // namespace monsoon
