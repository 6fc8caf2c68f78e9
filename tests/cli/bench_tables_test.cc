// SPDX-License-Identifier: Apache-2.0
#include "report/bench_tables.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "report/bench_row.h"
#include "report/spread.h"
#include "report/table.h"
#include "tests/cli/bench_rows.h"

namespace monsoon {
namespace {

TEST_CASE("of three values and more the median has an interval") {
  const Spread two = MeasureSpread({1, 5});
  CHECK_FALSE(two.has_interval());
  CHECK(two.low == 1);
  CHECK(two.high == 5);
  // Up to five, no resample in forty has a median within the range.
  for (const int count : {3, 4, 5}) {
    std::vector<double> values;
    for (int i = 1; i <= count; ++i) values.push_back(i);
    const Spread few = MeasureSpread(values);
    CHECK(few.has_interval());
    CHECK(few.low == 1);
    CHECK(few.high == count);
  }
  const Spread many = MeasureSpread({9, 1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(many.min == 1);
  CHECK(many.max == 9);
  CHECK(many.low > 1);
  CHECK(many.low < 5);
  CHECK(many.high < 9);
  CHECK(many.high > 5);
  CHECK(MeasureSpread({1, 2, 3, 4, 5, 6, 7, 8, 9}).low == many.low);
}

TEST_CASE("who has not got there took longer than any, and NaN has not") {
  const Reach reach = MeasureReach({INFINITY, 3, NAN, 1, 2});
  CHECK(reach.median == 3);
  CHECK(reach.min == 1);
  CHECK(reach.max == 3);
  CHECK(reach.reached == 3);
  CHECK(reach.runs == 5);
  CHECK(std::isinf(MeasureReach({NAN, NAN, 1}).median));
  CHECK(std::isnan(MeasureReach({}).median));
}

TEST_CASE("the median of an odd number of values is the middle one") {
  const Spread spread = MeasureSpread({3, 1, 20});
  CHECK(spread.median == 3);
  CHECK(spread.min == 1);
  CHECK(spread.max == 20);
  CHECK(spread.count == 3);
}

TEST_CASE(
    "the median of an even number of values lies between the middle two") {
  CHECK(MeasureSpread({4, 1, 2, 100}).median == 3);
}

TEST_CASE("values that are not finite do not count") {
  const Spread spread = MeasureSpread({BenchRow::kNone, 7, INFINITY});
  CHECK(spread.median == 7);
  CHECK(spread.count == 1);
  CHECK(MeasureSpread({}).count == 0);
  CHECK(std::isnan(MeasureSpread({BenchRow::kNone}).median));
}

TEST_CASE("the elapsed table has batches down, trainers across, holes named") {
  const std::vector<Table> tables = ElapsedTables(kMatrix, Rows());
  REQUIRE(tables.size() == 1);
  CHECK(FormatText(tables[0]) ==
        "mlp on fashion-mnist, 2 workers: elapsed seconds, median [95 % "
        "interval] of 3\n"
        "  batch      single (1 worker)                adag\n"
        "  64     4.50 (4.00..5.00) 2/3  2.50 [2.25, 11.00]\n"
        "  16                  9.00 1/3            diverged\n");
}

TEST_CASE("a single repeat needs no spread, and a missing cell is a dash") {
  BenchMatrix once = kMatrix;
  once.repeat = 1;
  const std::vector<Table> tables =
      AccuracyTables(once, {Row("single", 64, 1, 4, 0.83218)});
  REQUIRE(tables.size() == 1);
  CHECK(tables[0].title == "mlp on fashion-mnist, 2 workers: test accuracy");
  CHECK(tables[0].rows == std::vector<std::vector<std::string>>{
                              {"64", "0.8322", "-"}, {"16", "-", "-"}});
}

TEST_CASE("every model has tables of its own") {
  BenchMatrix two = kMatrix;
  two.models = {"mlp", "cnn"};
  BenchRow row = Row("adag", 16, 1, 3, 0.9);
  row.model = "cnn";
  const std::vector<Table> tables = AccuracyTables(two, {row});
  REQUIRE(tables.size() == 2);
  CHECK(tables[0].rows[1][2] == "-");
  CHECK(tables[1].rows[1][2] == "0.9000 1/3");
}

TEST_CASE("a sheet has plain numbers and empty fields for what is not done") {
  CHECK(FormatCsv(ElapsedSheet(kMatrix, Rows())) ==
        "model,batch_size,single,single_min,single_max,adag,adag_min,adag_max\n"
        "mlp,64,4.5,4,5,2.5,2.25,11\n"
        "mlp,16,9,9,9,,,\n");
}

TEST_CASE("the table of runs follows the order of the matrix") {
  const Table table = RunsTable(kMatrix, Rows());
  REQUIRE(table.rows.size() == 8);
  CHECK(table.rows[0] == std::vector<std::string>{"mlp", "single", "64", "1",
                                                  "1", "-", "-", "1.25", "-",
                                                  "failed"});
  CHECK(table.rows[1] == std::vector<std::string>{"mlp", "single", "64", "1",
                                                  "2", "5.00", "12000", "1.25",
                                                  "0.8200", "done"});
  CHECK(table.rows[3][1] == "adag");
  CHECK(table.rows[7][2] == "16");
}

TEST_CASE("wire codes stand beside each other, with what they moved") {
  BenchMatrix codes = kMatrix;
  codes.trainers = {"adag"};
  codes.batch_sizes = {64};
  codes.wires = {"fp32", "topk:0.1,fp32"};
  codes.repeat = 1;
  BenchRow plain = Row("adag", 64, 1, 4, 0.85);
  plain.bytes_up = 984e6;
  plain.bytes_down = 988.04e6;
  BenchRow coded = Row("adag", 64, 1, 3, 0.84);
  coded.wire = codes.wires[1];
  coded.bytes_up = 200e6;
  coded.bytes_down = 988e6;
  const std::vector<BenchRow> rows = {coded, plain};
  CHECK(FormatText(AccuracyTables(codes, rows)[0]) ==
        "mlp on fashion-mnist, 2 workers: test accuracy\n"
        "  batch  adag fp32  adag topk:0.1,fp32\n"
        "  64        0.8500              0.8400\n");
  CHECK(FormatText(WireTable(codes, rows)) ==
        "Wire codes on fashion-mnist, 2 workers\n"
        "  model  trainer  batch           wire  pushed MB  pulled MB  "
        "elapsed seconds  test accuracy\n"
        "  mlp       adag     64           fp32      984.0      988.0  "
        "           4.00         0.8500\n"
        "  mlp       adag     64  topk:0.1,fp32      200.0      988.0  "
        "           3.00         0.8400\n");
  CHECK(FormatCsv(ElapsedSheet(codes, rows)) ==
        "model,batch_size,adag fp32,\"adag topk:0.1,fp32\"\nmlp,64,4,3\n");
  const Table runs = RunsTable(codes, rows);
  CHECK(runs.columns[3] == "wire");
  CHECK(runs.rows[0][3] == "fp32");
  CHECK(runs.rows[1][3] == "topk:0.1,fp32");
  CHECK(HasCodes(codes));
  CHECK_FALSE(HasCodes(kMatrix));
}

TEST_CASE("Markdown aligns, and CSV quotes what needs it") {
  const Table table = {"T", {"name", "n"}, {{"a,b", "1"}, {"say \"x\"", "22"}}};
  CHECK(FormatMarkdown(table) ==
        "**T**\n\n"
        "| name    |  n |\n"
        "|---------|---:|\n"
        "| a,b     |  1 |\n"
        "| say \"x\" | 22 |\n");
  CHECK(FormatCsv(table) == "name,n\n\"a,b\",1\n\"say \"\"x\"\"\",22\n");
}

TEST_CASE("a line of results is read, with null for what is not finite") {
  const auto row = ParseBenchRow(
      R"({"trainer":"adag","model":"mlp","status":"diverged","batch_size":64,)"
      R"("workers":2,"seed":18446744073709551615,"elapsed_s":1.5,"wire":"bf16",)"
      R"("bytes_up":12,"bytes_down":34,)"
      R"("samples_per_s":40000,"staleness_mean":0.5,"staleness_p95":null,)"
      R"("test_acc":null,"other":[1]})");
  REQUIRE(row.ok());
  CHECK(row->trainer == "adag");
  CHECK(row->status == "diverged");
  CHECK(row->wire == "bf16");
  CHECK(row->bytes_up == 12);
  CHECK(row->bytes_down == 34);
  CHECK(row->seed == 18446744073709551615u);
  CHECK(row->elapsed_s == 1.5);
  CHECK(std::isnan(row->test_acc));
}

TEST_CASE("a line that is torn, or not a summary, is data loss") {
  const std::string line = GENERATE(
      "", "{\"trainer\":\"ad", "[1]", "{}", "{\"trainer\":1}",
      R"({"trainer":"adag","model":"mlp","status":"done","batch_size":-1})");
  const auto row = ParseBenchRow(line);
  CHECK(row.status().code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("times to accuracies are medians, and parts of single's") {
  const auto run = [](const std::string& trainer, uint64_t seed,
                      std::vector<std::pair<double, double>> curve) {
    BenchRow row = Row(trainer, 64, seed, 8, 0.9);
    row.curve = std::move(curve);
    return row;
  };
  BenchMatrix matrix = kMatrix;
  matrix.batch_sizes = {64};
  matrix.targets = {0.8, 0.875};
  const Table table = TimeToTable(
      matrix,
      {run("single", 1, {{1, 0.5}, {2, 0.8}, {3, 0.7}, {6, 0.9}}),
       run("single", 2, {{1, 0.85}, {4, 0.86}}),
       run("single", 3, {{5, 0.8}, {8, 0.875}}), run("adag", 1, {{0.5, 0.82}}),
       run("adag", 2, {{1.5, 0.9}}), run("adag", 3, {{1, 0.8}, {3, 0.87}})});
  CHECK(table.columns == std::vector<std::string>{"model", "batch", "trainer",
                                                  "s to 0.8", "/ single",
                                                  "s to 0.875", "/ single"});
  using Texts = std::vector<std::string>;
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0] == Texts{"mlp", "64", "single (1 worker)",
                               "2.00 (1.00..5.00)", "1.00",
                               "8.00 (6.00..8.00) 2/3", "1.00"});
  CHECK(table.rows[1] == Texts{"mlp", "64", "adag", "1.00 (0.50..1.50)", "0.50",
                               "not reached 1/3", "-"});
}

TEST_CASE("times that single has not, or that no run could have, say so") {
  const auto run = [](const char* trainer, const char* wire, double accuracy) {
    BenchRow row;
    row.trainer = trainer;
    row.model = "mlp";
    row.wire = wire;
    row.batch_size = 64;
    row.workers = row.trainer == "single" ? 1 : 2;
    row.curve = {{4, accuracy}};
    return row;
  };
  const BenchMatrix matrix = {.models = {"mlp"},
                              .trainers = {"single", "adag"},
                              .batch_sizes = {64},
                              .wires = {"bf16", "fp32"},
                              .workers = {2},
                              .targets = {0.8, 0.9}};
  const Table table = TimeToTable(
      matrix, {run("single", "fp32", 0.85), run("adag", "fp32", 0.95),
               run("adag", "bf16", 0.7)});
  std::map<std::string, std::vector<std::string>> cells;
  for (const std::vector<std::string>& row : table.rows) {
    cells[row[2]] = {row.begin() + 3, row.end()};
  }
  using Texts = std::vector<std::string>;
  CHECK(cells["single bf16 (1 worker)"] == Texts{"-", "-", "-", "-"});
  CHECK(cells["single fp32 (1 worker)"] ==
        Texts{"4.00", "1.00", "not reached 0/1", "-"});
  CHECK(cells["adag bf16"] ==
        Texts{"not reached 0/1", "-", "not reached 0/1", "-"});
  CHECK(cells["adag fp32"] == Texts{"4.00", "1.00", "4.00", "-"});
}

}  // namespace
}  // namespace monsoon
