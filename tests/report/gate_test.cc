// SPDX-License-Identifier: Apache-2.0
#include "report/gate.h"

#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <vector>

#include "tests/report/comparison_runs.h"

namespace monsoon {
namespace {

using Catch::Matchers::Contains;
using Runs = std::vector<ComparedRun>;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

GateResult Check(const std::string& gate, const Runs& a, const Runs& b) {
  const auto bounds = ParseGate(gate);
  REQUIRE(bounds.ok());
  return CheckGate(*bounds, CompareBenches(a, b));
}

// From A's elapsed seconds and accuracy to B's, in one cell.
bool HoldsFor(const std::string& gate, double elapsed_a, double elapsed_b,
              double acc_a, double acc_b) {
  return Check(gate, {RunOf("adag", "1", elapsed_a, acc_a)},
               {RunOf("adag", "1", elapsed_b, acc_b)})
      .holds();
}

TEST_CASE("a gate is read, whatever its spaces") {
  const auto bounds = ParseGate(
      " test_acc>=-0.005 ,elapsed_s <= +10 % , abs( test_acc ) > 8.6e-1,"
      "staleness_p95 < 4");
  REQUIRE(bounds.ok());
  REQUIRE(bounds->size() == 4);
  const GateBound& first = bounds->at(0);
  CHECK(first.text == "test_acc>=-0.005");
  CHECK(first.field == FindComparedField("test_acc"));
  CHECK(first.op == GateBound::kAtLeast);
  CHECK(first.bound == -0.005);
  CHECK_FALSE(first.is_percent);
  CHECK_FALSE(first.is_abs);
  CHECK(bounds->at(1).text == "elapsed_s <= +10 %");
  CHECK(bounds->at(1).op == GateBound::kAtMost);
  CHECK(bounds->at(1).bound == 10);
  CHECK(bounds->at(1).is_percent);
  CHECK(bounds->at(2).op == GateBound::kAbove);
  CHECK(bounds->at(2).bound == 0.86);
  CHECK(bounds->at(2).is_abs);
  CHECK(bounds->at(3).op == GateBound::kBelow);
}

TEST_CASE("what cannot be read says where, what is found, what is expected") {
  const auto refused = [](const std::string& gate, const std::string& why) {
    const auto bounds = ParseGate(gate);
    CHECK(bounds.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(bounds.status().message()), Contains(why));
  };
  refused("", "character 1: found its end, expected a field, or abs(FIELD)");
  refused("test_acc => 1",
          "character 10: found \"=>\", expected >=, <=, > or <");
  refused("test_acc", "character 9: found its end, expected >=");
  refused("test_acc >=", "character 12: found its end, expected a number");
  refused("elapsed_s <= 10pt",
          "character 14: found \"10pt\", expected a number");
  refused("elapsed_s <= + 10%", "character 14: found \"+\", expected a number");
  refused("elapsed_s <= nan", "character 14: found \"nan\", expected a number");
  refused("elapsed_s <= 1e999", "found \"1e999\", expected a number");
  refused("elapsed_s <= 1 test_acc > 0",
          "character 16: found \"test_acc\", expected \"%\", \",\"");
  refused("elapsed_s <= 1%%", "character 16: found \"%\", expected \",\"");
  refused("elapsed_s <= 1,", "character 16: found its end, expected a field");
  refused("elapsed_s <= 1,,", "character 16: found \",\", expected a field");
  refused("abs(test_acc > 1", "character 14: found \">\", expected \")\"");
  refused("abs(test_acc) > 86%", "character 19: found \"%\", expected none");
  refused("abs(elapsed) > 1", "character 5: unknown field \"elapsed\"");
  refused("elapsed_s < 1, tst_acc > 0",
          "character 16: unknown field \"tst_acc\"; accepted: elapsed_s, ");
  refused("tst_acc > 0", "did you mean \"test_acc\"?");
}

TEST_CASE("a bound is on the difference, from A to B") {
  CHECK(HoldsFor("test_acc >= -0.01", 1, 1, 0.85, 0.845));
  CHECK_FALSE(HoldsFor("test_acc >= -0.01", 1, 1, 0.85, 0.83));
  CHECK(HoldsFor("test_acc >= -0.01", 1, 1, 0.83, 0.85));
  CHECK(HoldsFor("elapsed_s <= 0.5", 2, 2.4, 0, 0));
  CHECK_FALSE(HoldsFor("elapsed_s <= 0.5", 2, 2.6, 0, 0));
}

TEST_CASE("a bound with a percent sign is a part of A") {
  CHECK(HoldsFor("elapsed_s <= +10%", 20, 21.9, 0, 0));
  CHECK_FALSE(HoldsFor("elapsed_s <= +10%", 20, 22.1, 0, 0));
  CHECK_FALSE(HoldsFor("elapsed_s <= +10%", 0.5, 0.56, 0, 0));
}

TEST_CASE("a bound on abs() is on B itself") {
  CHECK(HoldsFor("abs(test_acc) >= 0.86", 1, 1, 0.1, 0.87));
  CHECK_FALSE(HoldsFor("abs(test_acc) >= 0.86", 1, 1, 0.99, 0.85));
}

TEST_CASE("an operator says whether its bound is in, rounding aside") {
  // In binary, 0.845 - 0.85 is below -0.005, and 2.2 / 2 is above 1.1.
  CHECK(HoldsFor("test_acc >= -0.005", 1, 1, 0.85, 0.845));
  CHECK(HoldsFor("elapsed_s <= 10%", 2, 2.2, 0, 0));
  CHECK(HoldsFor("abs(test_acc) <= 0.86", 1, 1, 0, 0.86));
  CHECK_FALSE(HoldsFor("test_acc > -0.005", 1, 1, 0.85, 0.845));
  CHECK_FALSE(HoldsFor("elapsed_s > 10%", 2, 2.2, 0, 0));
  CHECK_FALSE(HoldsFor("elapsed_s < 10%", 2, 2.2, 0, 0));
  CHECK_FALSE(HoldsFor("abs(test_acc) > 0.86", 1, 1, 0, 0.86));
  CHECK(HoldsFor("abs(test_acc) > 0.86", 1, 1, 0, 0.8600001));
}

TEST_CASE("every bound is checked in every cell, and says which fall short") {
  const GateResult gate =
      Check("elapsed_s <= +10%, test_acc >= -0.01",
            {RunOf("adag", "1", 2, 0.8), RunOf("sync", "1", 2, 0.8)},
            {RunOf("adag", "1", 3, 0.8), RunOf("sync", "1", 2, 0.8)});
  CHECK_FALSE(gate.holds());
  CHECK(gate.incomparable.empty());
  REQUIRE(gate.checked.size() == 2);
  CHECK(gate.checked[0].cells == 2);
  REQUIRE(gate.checked[0].shortfalls.size() == 1);
  CHECK(gate.checked[0].shortfalls[0].cell ==
        "mlp on fashion-mnist, adag, batch 64, 2 workers, 1 server");
  CHECK(gate.checked[0].shortfalls[0].found == "+50 %, elapsed_s from 2 to 3");
  CHECK(gate.checked[1].shortfalls.empty());
}

TEST_CASE("what falls short comes with the interval of repeats") {
  const GateResult gate = Check(
      "elapsed_s <= 0", {RunOf("adag", "1", 2, 0), RunOf("adag", "2", 2, 0)},
      {RunOf("adag", "1", 3, 0), RunOf("adag", "2", 5, 0)});
  REQUIRE(gate.checked[0].shortfalls.size() == 1);
  // Both draws of B are the smaller one, or the larger one, in a quarter each.
  CHECK(gate.checked[0].shortfalls[0].found ==
        "+2 (95 % interval +1..+3), elapsed_s from 2 to 4");
}

TEST_CASE("a gate falls short of benches without a cell in common") {
  const GateResult gate =
      Check("abs(test_acc) >= 0.1", {RunOf("adag", "1", 2, 0.8)},
            {RunOf("sync", "1", 2, 0.8)});
  CHECK_FALSE(gate.holds());
  REQUIRE(gate.incomparable.size() == 1);
  CHECK_THAT(gate.incomparable[0].found, Contains("no cell is in both"));
  CHECK_FALSE(Check("test_acc >= -1", {}, {}).holds());
}

TEST_CASE("a gate falls short of a run of B that is not done") {
  Runs b = {RunOf("adag", "1", 2, 0.8), RunOf("adag", "2", 2, 0.8)};
  b[1].status = "diverged";
  const GateResult some =
      Check("elapsed_s <= 10%", {RunOf("adag", "1", 2, 0.8)}, b);
  CHECK_FALSE(some.holds());
  CHECK(some.checked[0].shortfalls.empty());
  REQUIRE(some.incomparable.size() == 1);
  CHECK(some.incomparable[0].found ==
        "1 of 2 runs of B is not done: seed 2 diverged");
  b[0].status = "failed";
  const GateResult all =
      Check("elapsed_s <= 10%", {RunOf("adag", "1", 2, 0.8)}, b);
  CHECK_FALSE(all.holds());
  CHECK(all.incomparable[0].found ==
        "2 of 2 runs of B are not done: seed 1 failed, seed 2 diverged");
}

TEST_CASE("a gate falls short where a value is missing") {
  const auto why = [](const std::string& text, const Runs& a, const Runs& b) {
    const GateResult gate = Check(text, a, b);
    CHECK_FALSE(gate.holds());
    REQUIRE(gate.checked[0].shortfalls.size() == 1);
    return gate.checked[0].shortfalls[0].found;
  };
  const ComparedRun whole = RunOf("adag", "1", 2, 0.8);
  const ComparedRun hole = RunOf("adag", "2", 2, kNaN);
  CHECK(why("test_acc >= -1", {whole}, {hole}) ==
        "no test_acc in 1 of 1 runs of B");
  CHECK(why("test_acc >= -1", {whole}, {whole, hole}) ==
        "no test_acc in 1 of 2 runs of B");
  CHECK(why("test_acc >= -1", {hole}, {whole}) == "no test_acc in A");
  CHECK(why("abs(test_acc) >= 0", {whole}, {hole}) ==
        "no test_acc in 1 of 1 runs of B");
  CHECK(why("elapsed_s <= 10%", {RunOf("adag", "1", 0, 0)}, {whole}) ==
        "elapsed_s is 0 in A, of which nothing is a part");
  ComparedRun failed = whole;
  failed.status = "failed";
  CHECK(why("elapsed_s <= 10%", {failed}, {whole}) == "no run of A is done");
  CHECK(Check("abs(elapsed_s) <= 10", {failed}, {whole}).holds());
}

TEST_CASE("cells of one side alone are counted; abs() is of B alone, too") {
  const Runs a = {RunOf("adag", "1", 2, 0.8), RunOf("single", "1", 2, 0.8)};
  const Runs b = {RunOf("adag", "1", 2, 0.8), RunOf("sync", "1", 9, 0.1)};
  const GateResult differences = Check("elapsed_s <= 10%", a, b);
  CHECK(differences.holds());
  CHECK(differences.checked[0].cells == 1);
  CHECK(differences.only_in_a == 1);
  CHECK(differences.only_in_b == 1);
  const GateResult itself = Check("abs(test_acc) >= 0.5", a, b);
  CHECK_FALSE(itself.holds());
  CHECK(itself.checked[0].cells == 2);
  CHECK_THAT(itself.checked[0].shortfalls.at(0).cell, Contains("sync"));
}

}  // namespace
}  // namespace monsoon
