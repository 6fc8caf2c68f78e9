// SPDX-License-Identifier: Apache-2.0
//
// Tables over workers, servers and windows, those that compare speeds, and what
// marks a disturbed run.
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "report/bench_row.h"
#include "report/bench_tables.h"
#include "report/table.h"
#include "tests/cli/bench_rows.h"

namespace monsoon {
namespace {

// adag of 1, 2 and 4 workers and windows 5 and 10, and single of one.
const BenchMatrix kAxes = {.models = {"mlp"},
                           .trainers = {"single", "adag"},
                           .batch_sizes = {64},
                           .workers = {1, 2, 4},
                           .windows = {5, 10},
                           .against = "single",
                           .setting = "toy"};

std::vector<BenchRow> AxisRows() {
  std::vector<BenchRow> rows = {Row("single", 64, 1, 10, 0.85)};
  double elapsed_s = 9;
  for (const int workers : {1, 2, 4}) {
    for (const int window : {5, 10}) {
      rows.push_back(Row("adag", 64, 1, elapsed_s, 0.8));
      rows.back().workers = workers;
      rows.back().window = window;
      --elapsed_s;
    }
  }
  return rows;
}

TEST_CASE("several workers and windows are columns, and one value is for all") {
  CHECK(FormatText(ElapsedTables(kAxes, AxisRows())[0]) ==
        "mlp on toy: elapsed seconds\n"
        "  batch  workers  window  single (1 worker)  adag\n"
        "  64           1       5              10.00  9.00\n"
        "  64           1      10              10.00  8.00\n"
        "  64           2       5              10.00  7.00\n"
        "  64           2      10              10.00  6.00\n"
        "  64           4       5              10.00  5.00\n"
        "  64           4      10              10.00  4.00\n");
  BenchMatrix fewer = kAxes;
  fewer.workers = {2, 4};
  fewer.windows = {5};
  CHECK(FormatCsv(ElapsedSheet(fewer, AxisRows())) ==
        "model,batch_size,workers,single,adag\n"
        "mlp,64,2,10,7\nmlp,64,4,10,5\n");
}

TEST_CASE("servers are told apart, too, and what was not run is a dash") {
  BenchMatrix matrix = kAxes;
  matrix.workers = {1};
  matrix.windows = {};
  matrix.servers = {1, 2, 3};
  std::vector<BenchRow> rows = {Row("adag", 64, 1, 3, 0.8),
                                Row("adag", 64, 1, 2, 0.8)};
  rows[0].servers = 1;
  rows[1].servers = 3;
  rows[0].workers = rows[1].workers = 1;
  CHECK(FormatText(ElapsedTables(matrix, rows)[0]) ==
        "mlp on toy: elapsed seconds\n"
        "  batch  servers  single  adag\n"
        "  64           1       -  3.00\n"
        "  64           2       -     -\n"
        "  64           3       -  2.00\n");
}

TEST_CASE("scaling is of samples per second, from the fewest workers on") {
  const Table table = ScalingTable(kAxes, AxisRows());
  using Texts = std::vector<std::string>;
  CHECK(table.columns == Texts{"model", "batch", "trainer", "workers", "window",
                               "samples/s", "speed-up", "efficiency"});
  REQUIRE(table.rows.size() == 6);  // single does not scale
  CHECK(table.rows[0] ==
        Texts{"mlp", "64", "adag", "1", "5", "6667", "1.00", "100 %"});
  // 9 s -> 7 s with twice as many: 1.29 times; -> 5 s with four: 1.8.
  CHECK(table.rows[2] ==
        Texts{"mlp", "64", "adag", "2", "5", "8571", "1.29", "64 %"});
  CHECK(table.rows[4] ==
        Texts{"mlp", "64", "adag", "4", "5", "12000", "1.80", "45 %"});
  CHECK(table.rows[5] ==
        Texts{"mlp", "64", "adag", "4", "10", "15000", "2.00", "50 %"});
}

TEST_CASE("what is compared with is not one worker where that was not run") {
  BenchMatrix matrix = kAxes;
  matrix.workers = {4, 2};
  std::vector<BenchRow> rows;
  for (const BenchRow& row : AxisRows()) {
    if (row.trainer == "adag" && row.workers > 1) rows.push_back(row);
  }
  const Table table = ScalingTable(matrix, rows);
  using Texts = std::vector<std::string>;
  REQUIRE(table.rows.size() == 4);
  // 7 s -> 5 s with twice as many: 1.4 times, of 2.
  CHECK(table.rows[0] ==
        Texts{"mlp", "64", "adag", "4", "5", "12000", "1.40", "70 %"});
  CHECK(table.rows[2] ==
        Texts{"mlp", "64", "adag", "2", "5", "8571", "1.00", "100 %"});
}

TEST_CASE("each trainer is compared with one, in time and points") {
  const Table table = AgainstTable(kAxes, AxisRows());
  using Texts = std::vector<std::string>;
  CHECK(table.title == "Against single on toy");
  CHECK(table.columns == Texts{"model", "batch", "trainer", "workers", "window",
                               "elapsed s", "times as fast", "test accuracy",
                               "points"});
  REQUIRE(table.rows.size() == 6);  // single is not compared with itself
  CHECK(table.rows[4] == Texts{"mlp", "64", "adag", "4", "5", "5.00", "2.00",
                               "0.8000", "-5.00"});
  // Against adag: its fewest workers, with the window of the row.
  BenchMatrix against_adag = kAxes;
  against_adag.against = "adag";
  const Table other = AgainstTable(against_adag, AxisRows());
  REQUIRE(other.rows.size() == 1 + 4);
  CHECK(other.rows[0] == Texts{"mlp", "64", "single (1 worker)", "1", "-",
                               "10.00", "0.90", "0.8500", "+5.00"});
  CHECK(other.rows[1] == Texts{"mlp", "64", "adag", "2", "5", "7.00", "1.29",
                               "0.8000", "+0.00"});
  CHECK(other.rows[4] == Texts{"mlp", "64", "adag", "4", "10", "4.00", "2.00",
                               "0.8000", "+0.00"});
}

TEST_CASE("a ratio has an interval where both sides are repeated") {
  BenchMatrix matrix = kMatrix;
  matrix.against = "single";
  matrix.batch_sizes = {64, 16};
  const Table table = AgainstTable(matrix, Rows());
  using Texts = std::vector<std::string>;
  CHECK(table.title ==
        "Against single on fashion-mnist, 2 workers, of medians [95 % interval]"
        " of 3");
  REQUIRE(table.rows.size() == 2);
  // 4.5 / 2.5; from 4 / 11 to 5 / 2.25.
  CHECK(table.rows[0] == Texts{"mlp", "64", "adag", "2.50", "1.80 [0.36, 2.22]",
                               "0.8500", "+2.50 [+1.00, +5.50]"});
  // None is done at 16.
  CHECK(table.rows[1] == Texts{"mlp", "16", "adag", "-", "-", "-", "-"});
}

TEST_CASE("under wire codes, the base has the same code where it can") {
  BenchMatrix matrix = kAxes;
  matrix.workers = {1};
  matrix.windows = {};
  matrix.trainers = {"single", "adag", "gem"};
  matrix.wires = {"fp32", "bf16"};
  std::vector<BenchRow> rows = {
      Row("single", 64, 1, 12, 0.8), Row("adag", 64, 1, 6, 0.8),
      Row("adag", 64, 1, 3, 0.8), Row("gem", 64, 1, 9, 0.8)};
  rows[2].wire = rows[3].wire = "bf16";
  for (BenchRow& row : rows) row.workers = 1;
  Table table = AgainstTable(matrix, rows);
  REQUIRE(table.rows.size() == 3);
  CHECK(table.rows[1][2] == "adag bf16");
  CHECK(table.rows[1][4] == "4.00");  // single has fp32 alone
  matrix.against = "adag";
  table = AgainstTable(matrix, rows);
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0][4] == "0.50");  // single, by 6
  CHECK(table.rows[1][4] == "0.33");  // gem bf16, by 3
}

TEST_CASE("a cell with a disturbed run is marked, and the note says by what") {
  std::vector<BenchRow> rows = Rows();
  rows[0].disturbed = true;  // adag at 64
  rows[0].other_load = 0.43;
  rows[0].steal = 0.031;
  rows[4].disturbed = true;  // the same cell
  rows[4].other_load = 0.2;
  const char kNote[] =
      "* disturbed: during a run other processes used up to 0.43 of a core, "
      "other machines took up to 3.1 % of the time, which --repeat-disturbed "
      "makes again";
  const Table table = ElapsedTables(kMatrix, rows)[0];
  CHECK(table.rows[0][2] == "2.50 [2.25, 11.00]*");
  CHECK(table.rows[0][1] == "4.50 (4.00..5.00) 2/3");
  CHECK(table.note == kNote);
  CHECK(FormatText(table).find(std::string("\n  ") + kNote + "\n") !=
        std::string::npos);
  CHECK(FormatMarkdown(table).find("\n\n\\* disturbed: ") != std::string::npos);
  const Table runs = RunsTable(kMatrix, rows);
  CHECK(runs.note == kNote);
  // Three runs of single at 64, then adag's by their seeds: 1, 2.
  CHECK(runs.rows[3][5] == "2.25");
  CHECK(runs.rows[4][5] == "2.50*");
  CHECK(ElapsedTables(kMatrix, Rows())[0].note.empty());
  CHECK(FormatCsv(ElapsedSheet(kMatrix, rows)) ==
        FormatCsv(ElapsedSheet(kMatrix, Rows())));
}

TEST_CASE("what a bench adds to a summary is read, and may be missing") {
  const std::string line =
      R"({"trainer":"adag","model":"mlp","status":"done","batch_size":64,)"
      R"("workers":2,"seed":1,"elapsed_s":1.5,"wire":"bf16","bytes_up":12,)"
      R"("bytes_down":34,"samples_per_s":40000,"staleness_mean":0.5,)"
      R"("staleness_p95":null,"test_acc":null)";
  const auto plain = ParseBenchRow(line + "}");
  REQUIRE(plain.ok());
  CHECK(plain->servers == 0);
  CHECK(plain->window == 0);
  CHECK_FALSE(plain->disturbed);
  CHECK(std::isnan(plain->wall_s));
  const auto more = ParseBenchRow(
      line +
      R"(,"servers":2,"hyper":{"window":12},"wall_s":2.5,"other_load":0.4,)"
      R"("steal":0.25,"disturbed":true,"repeated":true})");
  REQUIRE(more.ok());
  CHECK(more->servers == 2);
  CHECK(more->window == 12);
  CHECK(more->wall_s == 2.5);
  CHECK(more->other_load == 0.4);
  CHECK(more->steal == 0.25);
  CHECK(more->disturbed);
  CHECK(more->repeated);
}

}  // namespace
}  // namespace monsoon
