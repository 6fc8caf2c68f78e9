// SPDX-License-Identifier: Apache-2.0
#include "report/comparison_tables.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/comparison_json.h"
#include "tests/report/comparison_runs.h"

namespace monsoon {
namespace {

using Lines = std::vector<std::string>;
using Runs = std::vector<ComparedRun>;

const int kElapsed = FindComparedField("elapsed_s");
const int kAccuracy = FindComparedField("test_acc");

ComparedRun Failed(ComparedRun run) {
  run.status = "failed";
  return run;
}

std::string CellText(const std::string& trainer) {
  return "mlp on fashion-mnist, " + trainer + ", batch 64, 2 workers, 1 server";
}

// adag is slower, aeasgd failed twice, dynsgd in A and ssp in B alone.
std::vector<ComparedCell> Cells() {
  return CompareBenches(
      {RunOf("adag", "1", 2, 0.8), RunOf("adag", "2", 2, 0.9),
       RunOf("aeasgd", "1", 4, 0.8), RunOf("dynsgd", "1", 5, 0.7)},
      {RunOf("adag", "1", 3, 0.9), RunOf("adag", "2", 3, 0.8),
       RunOf("adag", "3", 3, 0.85), Failed(RunOf("aeasgd", "1", 0, 0)),
       Failed(RunOf("aeasgd", "2", 0, 0)), RunOf("ssp", "1", 5, 0.7),
       Failed(RunOf("ssp", "2", 0, 0))});
}

TEST_CASE("a table has A, B, the difference, its interval, what that is") {
  CHECK(
      FormatMarkdown(DifferenceTable(Cells(), kElapsed)) ==
      "**elapsed_s (s) on fashion-mnist, 2 workers, 1 server: medians, "
      "difference in % of A**\n\n"
      "| model | trainer | batch |    A |        B |   B - A |  95 % interval "
      "|   that is |\n"
      "|-------|--------:|------:|-----:|---------:|--------:|---------------"
      ":|----------:|\n"
      "| mlp   |    adag |    64 | 2.00 |     3.00 | +50.0 % | +50.0..+50.0 % "
      "|     worse |\n"
      "| mlp   |  aeasgd |    64 | 4.00 |   failed |       - |              - "
      "|  not done |\n"
      "| mlp   |  dynsgd |    64 | 5.00 |        - |       - |              - "
      "| only in A |\n"
      "| mlp   |     ssp |    64 |    - | 5.00 1/2 |       - |              - "
      "| only in B |\n");
  const Table accuracy = DifferenceTable(Cells(), kAccuracy);
  CHECK(accuracy.title ==
        "test_acc on fashion-mnist, 2 workers, 1 server: medians");
  CHECK(accuracy.rows[0] == Lines{"mlp", "adag", "64", "0.8500", "0.8500",
                                  "0.0000", "-0.1000..+0.1000",
                                  "within noise"});
}

TEST_CASE("cells that differ otherwise have columns for that") {
  ComparedRun more = RunOf("adag", "1", 0.0123, 0.8);
  more.cell.workers = 4;
  more.cell.wire = "bf16";
  const Table table = DifferenceTable(
      CompareBenches({RunOf("adag", "1", 2, 0.8), more}, {more}), kElapsed);
  CHECK(table.columns == Lines{"model", "trainer", "batch", "workers", "wire",
                               "A", "B", "B - A", "95 % interval", "that is"});
  CHECK(table.rows[1] == Lines{"mlp", "adag", "64", "4", "bf16", "0.0123",
                               "0.0123", "0.0 %", "-", "one repeat"});
  CHECK(table.title ==
        "elapsed_s (s) on fashion-mnist, 1 server: medians, difference in % of "
        "A");
  const Table runs =
      DifferenceTable(CompareRuns(RunOf("sync", "1", 2, 0.8), more), kElapsed);
  CHECK(runs.rows ==
        std::vector<Lines>{{"mlp", "sync / adag", "64", "2 / 4", "fp32 / bf16",
                            "2.00", "0.0123", "-99.4 %", "-", "one repeat"}});
}

TEST_CASE("a sheet has plain numbers and empty fields for what is not") {
  const Table sheet = DifferenceSheet(Cells());
  CHECK(sheet.rows.size() == 4 * ComparedFields().size());
  const auto text = FormatCsv(sheet);
  CHECK(text.find("mlp,fashion-mnist,adag,64,2,1,fp32,,2,2,3,3,elapsed_s,2,3,1,"
                  "1,1,50,50,50,worse\n") != std::string::npos);
  CHECK(text.find("mlp,fashion-mnist,ssp,64,2,1,fp32,,0,0,2,1,elapsed_s,,5,,,,,"
                  ",,only in B\n") != std::string::npos);
}

TEST_CASE("what is said of a field, of runs, of settings") {
  CHECK(DescribeTally(Cells(), kElapsed) == "elapsed_s: 1 difference: 1 worse");
  CHECK(DescribeTally(Cells(), kAccuracy) ==
        "test_acc: 1 difference: 1 within noise");
  CHECK(DescribeTally(Cells(), FindComparedField("bytes_up")) ==
        "bytes_up: nothing to compare");
  CHECK_FALSE(HasValues(Cells(), FindComparedField("bytes_up")));
  CHECK(HasValues(Cells(), kElapsed));
  CHECK(DescribeNotDone(Cells()) ==
        Lines{"not done in B: " + CellText("aeasgd") + ", seed 1: failed",
              "not done in B: " + CellText("aeasgd") + ", seed 2: failed",
              "not done in B: " + CellText("ssp") + ", seed 2: failed"});
  Runs a = {RunOf("adag", "1", 2, 0.8), RunOf("sync", "1", 2, 0.8)};
  Runs b = a;
  for (ComparedRun& run : a) run.settings = {{"lr", "0.1"}, {"epochs", "1"}};
  for (ComparedRun& run : b) run.settings = {{"lr", "0.2"}, {"epochs", "1"}};
  b[1].settings["epochs"] = "3";
  CHECK(DescribeSettings(CompareBenches(a, b)) ==
        Lines{"differs: epochs is 1 in A, 3 in B, for " + CellText("sync"),
              "differs: lr is 0.1 in A, 0.2 in B"});
}

TEST_CASE("a gate says what holds, what falls short, and why") {
  const GateResult gate =
      CheckGate(*ParseGate("elapsed_s <= 10%, test_acc >= -0.5"), Cells());
  const std::string interval = "(95 % interval +50..+50 %)";
  const std::string none = "; with nothing to compare with: ";
  CHECK(DescribeGate(gate) ==
        Lines{"gate elapsed_s <= 10%: FALLS SHORT in 1 of 1 cell",
              "  " + CellText("adag") + ": +50 % " + interval +
                  ", elapsed_s from 2 to 3",
              "gate test_acc >= -0.5: holds in 1 of 1 cell",
              "gate: not comparable",
              "  " + CellText("aeasgd") + ": 2 of 2 runs of B are not done: " +
                  "seed 1 failed, seed 2 failed",
              "  " + CellText("ssp") +
                  ": 1 of 2 runs of B is not done: " + "seed 2 failed",
              "gate: FALLS SHORT" + none + "1 cells only in A, 1 only in B"});
  const auto json = GateJson(gate);
  CHECK(json["holds"] == false);
  CHECK(json["bounds"][0]["bound"] == "elapsed_s <= 10%");
  CHECK(json["bounds"][0]["falls_short"].size() == 1);
  CHECK(json["bounds"][1]["falls_short"].empty());
  CHECK(json["not_comparable"].size() == 2);
  CHECK(json["only_in_b"] == 1);
}

TEST_CASE("JSON says the same of the cells") {
  const auto json = CellsJson(Cells());
  REQUIRE(json.size() == 4);
  CHECK(json[0]["trainer"] == "adag");
  CHECK(json[0]["in"] == "both");
  CHECK(json[0]["a"]["runs"] == 2);
  const auto& elapsed = json[0]["fields"]["elapsed_s"];
  CHECK(elapsed["a"] == 2);
  CHECK(elapsed["b"] == 3);
  CHECK(elapsed["difference"] == 1);
  CHECK(elapsed["percent"] == 50);
  CHECK(elapsed["percent_low"] == 50);
  CHECK(elapsed["verdict"] == "worse");
  CHECK(json[0]["fields"]["test_acc"]["verdict"] == "within_noise");
  CHECK(json[1]["b"]["done"] == 0);
  CHECK(json[1]["b"]["not_done"][1]["seed"] == "2");
  CHECK(json[1]["b"]["not_done"][1]["status"] == "failed");
  CHECK(json[2]["in"] == "a");
  CHECK(json[2]["fields"]["elapsed_s"]["b"].is_null());
  CHECK(json[2]["fields"]["elapsed_s"]["verdict"] == "only_in_a");
  CHECK(json[3]["in"] == "b");
  CHECK(json[0]["fields"].size() == ComparedFields().size());
}

}  // namespace
}  // namespace monsoon
