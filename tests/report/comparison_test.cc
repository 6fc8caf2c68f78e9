// SPDX-License-Identifier: Apache-2.0
#include "report/comparison.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/report/comparison_runs.h"

namespace monsoon {
namespace {

using Runs = std::vector<ComparedRun>;

const FieldDifference& In(const ComparedCell& cell, const char* field) {
  return cell.fields[static_cast<size_t>(FindComparedField(field))];
}

ComparedRun Ended(ComparedRun run, const std::string& status) {
  run.status = status;
  return run;
}

Runs Three(const std::string& trainer, double elapsed_s, double test_acc) {
  return {RunOf(trainer, "1", elapsed_s, test_acc),
          RunOf(trainer, "2", elapsed_s + 0.1, test_acc + 0.01),
          RunOf(trainer, "3", elapsed_s + 0.2, test_acc + 0.02)};
}

TEST_CASE("runs are matched by every member of their cell") {
  const ComparedRun a = RunOf("adag", "1", 2, 0.8);
  ComparedRun b = a;
  CHECK(CompareBenches({&a, 1}, {&b, 1}).size() == 1);
  const auto member = GENERATE(0, 1, 2, 3, 4, 5, 6);
  if (member == 0) b.cell.model = "cnn";
  if (member == 1) b.cell.data = "toy";
  if (member == 2) b.cell.trainer = "downpour";
  if (member == 3) b.cell.workers = 3;
  if (member == 4) b.cell.servers = 3;
  if (member == 5) b.cell.wire = "bf16";
  if (member == 6) b.cell.batch_size = 3;
  const std::vector<ComparedCell> cells = CompareBenches({&a, 1}, {&b, 1});
  REQUIRE(cells.size() == 2);
  CHECK_FALSE(cells[0].in_both());
  CHECK_FALSE(cells[1].in_both());
}

TEST_CASE("windows are cells of their own where a bench has several") {
  Runs a = Three("adag", 2, 0.8);
  Runs b = Three("adag", 3, 0.8);
  for (ComparedRun& run : a) run.cell.window = 5;
  for (ComparedRun& run : b) run.cell.window = 10;
  // One each: a setting that may differ, as the rate.
  std::vector<ComparedCell> cells = CompareBenches(a, b);
  REQUIRE(cells.size() == 1);
  CHECK(cells[0].in_both());
  CHECK(cells[0].cell.window == 0);
  CHECK(DescribeCell(cells[0].cell).find("window") == std::string::npos);
  a.push_back(RunOf("adag", "1", 7, 0.8));
  a.back().cell.window = 10;
  a.push_back(RunOf("single", "1", 7, 0.8));
  cells = CompareBenches(a, b);
  REQUIRE(cells.size() == 3);
  CHECK(cells[0].cell.window == 5);
  CHECK(In(cells[0], "elapsed_s").verdict == Verdict::kOnlyInA);
  CHECK(cells[1].cell.window == 10);
  CHECK(In(cells[1], "elapsed_s").medians.a == 7);
  CHECK(In(cells[1], "elapsed_s").medians.b == Approx(3.1));
  CHECK(DescribeCell(cells[1].cell).find(", window 10") != std::string::npos);
  CHECK(cells[2].cell.window == 0);
}

TEST_CASE("a cell of one side alone is there, and says so") {
  const std::vector<ComparedCell> cells =
      CompareBenches({RunOf("adag", "1", 2, 0.8)},
                     {RunOf("adag", "1", 3, 0.8), RunOf("sync", "1", 4, 0.9)});
  REQUIRE(cells.size() == 2);
  CHECK(In(cells[0], "elapsed_s").verdict == Verdict::kOneRepeat);
  CHECK(In(cells[0], "elapsed_s").medians.percent == 50);
  CHECK(cells[1].cell.trainer == "sync");
  CHECK(In(cells[1], "elapsed_s").verdict == Verdict::kOnlyInB);
  CHECK(In(cells[1], "elapsed_s").medians.b == 4);
  const std::vector<ComparedCell> turned = CompareBenches(
      {RunOf("sync", "1", 4, 0.9)}, {RunOf("adag", "1", 3, 0.8)});
  CHECK(In(turned[0], "elapsed_s").verdict == Verdict::kOnlyInB);
  CHECK(In(turned[1], "elapsed_s").verdict == Verdict::kOnlyInA);
}

TEST_CASE("the order of runs changes nothing") {
  Runs a = Three("adag", 2, 0.8);
  Runs b = Three("adag", 2.1, 0.79);
  const Interval before =
      *In(CompareBenches(a, b)[0], "elapsed_s").medians.percent_interval;
  std::reverse(a.begin(), a.end());
  std::swap(b[0], b[1]);
  const Interval after =
      *In(CompareBenches(a, b)[0], "elapsed_s").medians.percent_interval;
  CHECK(before.low == after.low);
  CHECK(before.high == after.high);
}

TEST_CASE("a difference is noise where the interval holds zero") {
  // A is 2, 2.1, 2.2. From -0.1 to +0.3 of it, then from +0.3 to +0.7.
  const auto verdict = [](double elapsed_s, double test_acc,
                          const char* field) {
    return In(CompareBenches(Three("adag", 2, 0.8),
                             Three("adag", elapsed_s, test_acc))[0],
              field)
        .verdict;
  };
  CHECK(verdict(2.1, 0.8, "elapsed_s") == Verdict::kWithinNoise);
  CHECK(verdict(2.5, 0.8, "elapsed_s") == Verdict::kWorse);
  CHECK(verdict(1.5, 0.8, "elapsed_s") == Verdict::kBetter);
  CHECK(verdict(2, 0.81, "test_acc") == Verdict::kWithinNoise);
  CHECK(verdict(2, 0.9, "test_acc") == Verdict::kBetter);
  CHECK(verdict(2, 0.7, "test_acc") == Verdict::kWorse);
}

TEST_CASE("staleness is higher or lower, never better") {
  const auto field = static_cast<size_t>(FindComparedField("staleness_mean"));
  Runs a = Three("adag", 2, 0.8);
  Runs b = a;
  for (ComparedRun& run : a) run.values[field] = 1;
  for (ComparedRun& run : b) run.values[field] = 2;
  CHECK(In(CompareBenches(a, b)[0], "staleness_mean").verdict ==
        Verdict::kHigher);
  CHECK(In(CompareBenches(b, a)[0], "staleness_mean").verdict ==
        Verdict::kLower);
}

TEST_CASE("runs that are not done count as such, and not in medians") {
  Runs b = Three("adag", 2, 0.8);
  b[1] = Ended(b[1], "failed");
  const std::vector<ComparedCell> cells =
      CompareBenches(Three("adag", 2, 0.8), b);
  CHECK(cells[0].b.runs == 3);
  CHECK(cells[0].b.done == 2);
  REQUIRE(cells[0].b.endings.size() == 1);
  CHECK(cells[0].b.endings[0].seed == "2");
  CHECK(cells[0].b.endings[0].status == "failed");
  CHECK(In(cells[0], "elapsed_s").medians.b == Approx(2.1));  // of 2 and 2.2
  for (ComparedRun& run : b) run.status = "diverged";
  CHECK(In(CompareBenches(Three("adag", 2, 0.8), b)[0], "elapsed_s").verdict ==
        Verdict::kNotDone);
}

TEST_CASE("a value that a side lacks is no difference") {
  const std::vector<ComparedCell> cells = CompareBenches(
      {RunOf("adag", "1", 2, 0.8)},
      {RunOf("adag", "1", 2, std::numeric_limits<double>::quiet_NaN())});
  CHECK(In(cells[0], "test_acc").verdict == Verdict::kNoValue);
  CHECK(In(cells[0], "test_acc").values_a == 1);
  CHECK(In(cells[0], "test_acc").values_b == 0);
  CHECK(In(cells[0], "bytes_up").verdict == Verdict::kNoValue);
}

TEST_CASE("settings that differ are named, unless a side does not say") {
  ComparedRun a = RunOf("adag", "1", 2, 0.8);
  a.settings = {{"lr", "0.1"}, {"epochs", "1"}, {"overlap", "false"}};
  ComparedRun b = RunOf("adag", "1", 2, 0.8);
  b.settings = {{"lr", "0.2"}, {"epochs", "1"}, {"device", "\"cpu\""}};
  const auto settings = CompareBenches({&a, 1}, {&b, 1})[0].settings;
  REQUIRE(settings.size() == 1);
  CHECK(settings.at("lr").a == std::set<std::string>{"0.1"});
  CHECK(settings.at("lr").b == std::set<std::string>{"0.2"});
}

TEST_CASE("two runs that somebody named are compared, whatever their cells") {
  const ComparedRun a = RunOf("adag", "1", 2, 0.8);
  const ComparedRun b = RunOf("sync", "7", 3, 0.9);
  const std::vector<ComparedCell> cells = CompareRuns(a, b);
  REQUIRE(cells.size() == 1);
  CHECK(cells[0].in_both());
  CHECK(In(cells[0], "elapsed_s").medians.difference == 1);
  CHECK(DescribeCells(cells[0]) ==
        "mlp on fashion-mnist, adag, batch 64, 2 workers, 1 server against mlp "
        "on fashion-mnist, sync, batch 64, 2 workers, 1 server");
}

TEST_CASE("a tally counts what is a difference") {
  Runs a = Three("adag", 2, 0.8);
  a.push_back(RunOf("sync", "1", 2, 0.8));
  a.push_back(RunOf("single", "1", 2, 0.8));
  Runs b = Three("adag", 3, 0.8);
  b.push_back(RunOf("sync", "1", 2, 0.8));
  const FieldTally tally =
      TallyOf(CompareBenches(a, b), FindComparedField("elapsed_s"));
  CHECK(tally.differences == 2);
  CHECK(tally.worse == 1);
  CHECK(tally.one_repeat == 1);
  CHECK(tally.better == 0);
  CHECK(tally.within_noise == 0);
}

}  // namespace
}  // namespace monsoon
