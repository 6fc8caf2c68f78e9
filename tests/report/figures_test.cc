// SPDX-License-Identifier: Apache-2.0
#include "report/figures.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/report/some_runs.h"

namespace monsoon {
namespace {

using Texts = std::vector<std::string>;

// The runs of one group, with what its charts are made from.
struct Group {
  explicit Group(std::vector<RunSummary> of)
      : runs(std::move(of)), group(GroupRuns(runs)[0]) {}
  FigureInputs inputs() { return {runs, group, "c1", styles}; }

  std::vector<RunSummary> runs;
  RunGroup group;
  Styles styles;
};

TEST_CASE("the chart of elapsed time has a mark for each cell, failed or not") {
  Group some(SomeRuns());
  const Figure figure = *ElapsedFigure(some.inputs());
  CHECK(figure.id == "c1-elapsed");
  CHECK(figure.kind == Figure::kBars);
  CHECK(figure.x.categories == Texts{"32", "128"});
  REQUIRE(figure.series.size() == 2);
  CHECK(figure.series[0].name == "single (1 worker)");
  CHECK(figure.series[0].style != figure.series[1].style);
  const std::vector<ChartPoint>& adag = figure.series[1].points;
  REQUIRE(adag.size() == 2);
  CHECK(adag[0].x == 0);
  CHECK(adag[0].y == 5);
  CHECK(adag[0].low == 4.5);
  CHECK(adag[0].high == 5.5);
  CHECK(adag[0].note.empty());
  CHECK(adag[1].y == 3.5);
  CHECK(std::isnan(adag[1].low));
  CHECK(adag[1].note == "1 of 3 done");
  CHECK(figure.table.columns == Texts{"batch", "single (1 worker)", "adag"});
  CHECK(figure.table.rows[0] ==
        Texts{"32", "9.00 [8.00, 10.0]", "5.00 [4.50, 5.50]"});
  CHECK(figure.table.rows[1] ==
        Texts{"128", "7.00 (6.00 to 8.00), 2 of 3 done", "3.50, 1 of 3 done"});
}

TEST_CASE("a cell with a disturbed run is marked, and the note says so") {
  std::vector<RunSummary> runs = SomeRuns();
  runs[1].disturbed = true;
  Group some(runs);
  const Figure figure = *ElapsedFigure(some.inputs());
  CHECK(figure.table.rows[0] ==
        Texts{"32", "9.00 [8.00, 10.0]*", "5.00 [4.50, 5.50]"});
  CHECK(figure.note ==
        "Shorter is better. Medians of up to 3 runs; the whiskers are their "
        "95 % interval, of two runs the range. * other processes disturbed a "
        "run; see the table of runs.");
  Group calm(SomeRuns());
  CHECK(ElapsedFigure(calm.inputs())->note.find('*') == std::string::npos);
}

TEST_CASE("a cell without a run that is done says how they ended") {
  Group some({SomeRun("single", 32, 1, 8, 0.85),
              Ended(SomeRun("adag", 32, 1, 0, 0), "diverged"),
              SomeRun("gem", 128, 1, 3, 0.8)});
  const Figure figure = *AccuracyFigure(some.inputs());
  CHECK(std::isnan(figure.series[1].points[0].y));
  CHECK(figure.series[1].points[0].note == "diverged");
  CHECK(figure.table.rows[0] == Texts{"32", "0.8500", "diverged", "-"});
  CHECK(figure.table.rows[1] == Texts{"128", "-", "-", "0.8000"});
}

TEST_CASE("a chart for which there are no data is left out") {
  Group failed({Ended(SomeRun("adag", 32, 1, 0, 0), "failed")});
  CHECK_FALSE(ElapsedFigure(failed.inputs()).has_value());
  CHECK_FALSE(AccuracyFigure(failed.inputs()).has_value());
  CHECK_FALSE(ReachFigure(failed.inputs(), kWallTime).has_value());
  Group plain(SomeRuns());
  CHECK_FALSE(LossFigure(plain.inputs()).has_value());
  CHECK_FALSE(StalenessFigure(plain.inputs()).has_value());
  CHECK_FALSE(ScalingFigure(plain.inputs()).has_value());
  CHECK_FALSE(TimeToFigure(plain.inputs(), 0.8).has_value());
}

TEST_CASE("without curves every run with an accuracy is a mark") {
  Group some(SomeRuns());
  const Figure figure = *ReachFigure(some.inputs(), kWallTime);
  CHECK(figure.series.size() == 9);  // of 12, 3 are not done
  for (const ChartSeries& series : figure.series) {
    CHECK(series.points.size() == 1);
    CHECK_FALSE(series.joined);
  }
  CHECK(figure.table.rows.size() == 9);
  CHECK(figure.table.rows[0] ==
        Texts{"single (1 worker)", "32", "1", "done", "8.00", "0.8500"});
  // 0.86 - 0.01: all three of single get there, none of adag's.
  CHECK(figure.claim ==
        "single (1 worker) at batch 32 gets to 0.8500, 1 point below the best "
        "of all runs (0.8600), with the least time: 9.00 s.");
  CHECK(figure.note ==
        "A mark per run. Up and to the left is better. 3 runs without an "
        "accuracy to draw; see the table of runs.");
}

// 60,000 samples in `elapsed_s`, 10 MB pushed and pulled.
RunSummary Curved(const std::string& trainer, uint64_t seed, double elapsed_s,
                  std::vector<AccuracyPoint> curve) {
  RunSummary run = SomeRun(trainer, 32, seed, elapsed_s, curve.back().accuracy);
  run.curve = std::move(curve);
  return run;
}

TEST_CASE("a curve is a line, up to the end of its run") {
  Group some({Curved("adag", 1, 6, {{1, 6000, 0.5}, {2, 30000, 0.7}})});
  some.runs[0].test_acc = 0.8;
  const Figure time = *ReachFigure(some.inputs(), kWallTime);
  REQUIRE(time.series.size() == 1);
  CHECK(time.series[0].joined);
  REQUIRE(time.series[0].points.size() == 3);
  CHECK(time.series[0].points[1].x == 2);
  CHECK(time.series[0].points[1].y == 0.7);
  CHECK(time.series[0].points[2].x == 6);
  CHECK(time.series[0].points[2].y == 0.8);
  const Figure samples = *ReachFigure(some.inputs(), kSamples);
  CHECK(samples.series[0].points[1].x == 30000);
  const Figure bytes = *ReachFigure(some.inputs(), kMegabytes);
  // 10 MB x 6,000 / 60,000
  CHECK(bytes.series[0].points[0].x == Approx(1));
  CHECK(bytes.table.rows[2][4] == "10.0");
}

TEST_CASE("who has not got there took longer than any who has") {
  Group some({Curved("adag", 1, 6, {{1, 1, 0.5}, {2, 2, 0.8}}),
              Curved("adag", 2, 6, {{4, 1, 0.85}}),
              Curved("adag", 3, 6, {{1, 1, 0.7}, {6, 60000, 0.75}}),
              Curved("gem", 1, 6, {{3, 1, 0.8}}),
              Curved("gem", 2, 6, {{1, 60000, 0.7}}),
              Ended(Curved("gem", 3, 6, {{1, 60000, 0.7}}), "failed")});
  const Reach adag =
      MeasureReach(some.runs, some.group.cells[0], 0.8, kWallTime);
  CHECK(adag.median == 4);  // of 2, 4 and never
  CHECK(adag.min == 2);
  CHECK(adag.max == 4);
  CHECK(adag.reached == 2);
  CHECK(adag.runs == 3);
  const Reach gem =
      MeasureReach(some.runs, some.group.cells[1], 0.8, kWallTime);
  CHECK(std::isinf(gem.median));
  CHECK(gem.reached == 1);
  const Figure figure = *TimeToFigure(some.inputs(), 0.8);
  CHECK(figure.claim == "adag at batch 32 is first to 0.8: 4.00 s.");
  CHECK(figure.table.rows[0] == Texts{"32",
                                      "4.00 (2.00 to 4.00), 2 of 3 reached it",
                                      "not reached, 1 of 3 reached it"});
  CHECK(figure.series[1].points[0].note == "1 of 3 reached it");
  CHECK(TimeToFigure(some.inputs(), 0.9)->claim ==
        "None gets to 0.9 in its median run.");
}

TEST_CASE("the staleness of all repeats is one histogram, its tail one bar") {
  std::vector<RunSummary> runs = {SomeRun("adag", 32, 1, 5, 0.8),
                                  SomeRun("adag", 128, 1, 5, 0.8),
                                  SomeRun("gem", 32, 1, 5, 0.8)};
  runs[0].staleness = {{0, 50}, {1, 46}, {70, 1}};
  runs[1].staleness = {{1, 3}};
  runs[2].staleness = {{0, 10}};
  Group some(runs);
  const Figure figure = *StalenessFigure(some.inputs());
  CHECK(figure.x.categories == Texts{"0", "1", "2 or more"});
  CHECK(figure.series[0].points[0].y == 50);
  CHECK(figure.series[0].points[1].y == 49);
  CHECK(figure.series[0].points[2].y == 1);
  CHECK(figure.series[1].points[0].y == 100);
  // (46 + 70 + 3) / 100
  CHECK(figure.claim ==
        "The pushes of adag are the stalest, 1.19 rounds stale on average, 95 "
        "of 100 at most 1.");
  CHECK(figure.table.rows.back() == Texts{"mean", "1.19", "0.00"});
}

TEST_CASE("scaling compares with as many times more workers") {
  std::vector<RunSummary> runs;
  for (const int workers : {2, 4, 8}) {
    runs.push_back(SomeRun("adag", 32, 1, 60.0 / workers, 0.8));
    runs.back().workers = workers;
    runs.back().settings = {{"workers", std::to_string(workers)}};
  }
  runs[2].samples_per_s =
      6000;  // of 8000 that four times as many ought to make
  Group some(runs);
  const Figure figure = *ScalingFigure(some.inputs());
  REQUIRE(figure.series.size() == 2);
  CHECK(figure.series[0].points[2].x == 8);
  CHECK(figure.series[0].points[2].y == 6000);
  CHECK(figure.series[1].guide);
  CHECK(figure.series[1].points[2].y == 8000);
  CHECK(figure.table.rows[2] ==
        Texts{"adag", "32", "8", "6,000", "3.00", "75 %"});
  CHECK(figure.claim ==
        "adag at batch 32 makes the most of more workers: from 2 to 8 it goes "
        "from 2,000 to 6,000 samples/s, 3.00 ×, an efficiency of 75 %.");
}

TEST_CASE("losses are lines of the runs that have them") {
  std::vector<RunSummary> runs = {SomeRun("adag", 32, 1, 5, 0.8),
                                  SomeRun("gem", 32, 1, 5, 0.8),
                                  SomeRun("single", 32, 1, 5, 0.8)};
  runs[0].losses = {{1, 2.0}, {2, 0.6}};
  runs[1].losses = {{1, 2.0}, {2, 0.5}};
  Group some(runs);
  const Figure figure = *LossFigure(some.inputs());
  CHECK(figure.series.size() == 2);
  CHECK(figure.table.rows.size() == 4);
  CHECK(figure.claim ==
        "gem at batch 32 ends with the lowest training loss: 0.5000.");
}

}  // namespace
}  // namespace monsoon
