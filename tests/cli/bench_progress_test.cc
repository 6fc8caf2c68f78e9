// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_progress.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

namespace monsoon {
namespace {

BenchRow Row(const std::string& model, const std::string& trainer, int batch,
             uint64_t seed, double wall_s) {
  BenchRow row;
  row.model = model;
  row.trainer = trainer;
  row.status = "done";
  row.batch_size = batch;
  row.workers = 2;
  row.servers = 1;
  row.seed = seed;
  row.wall_s = wall_s;
  row.elapsed_s = wall_s / 2;
  row.samples_per_s = 17540;
  row.test_acc = 0.8423;
  return row;
}

BenchRun Run(const std::string& model, const std::string& trainer, int batch,
             uint64_t seed) {
  BenchRun run;
  run.options.model = model;
  run.options.trainer = trainer;
  run.options.batch_size = batch;
  run.options.workers = 2;
  run.options.seed = seed;
  return run;
}

TEST_CASE("what is nearest to a run says how long it takes") {
  std::vector<BenchRow> rows;
  const BenchRun run = Run("cnn", "adag", 16, 3);
  CHECK(std::isnan(EstimateSeconds(run, rows)));
  rows.push_back(Row("mlp", "adag", 16, 1, 4));
  rows.push_back(Row("mlp", "adag", 64, 1, 2));
  CHECK(EstimateSeconds(run, rows) == 3);  // all
  rows.push_back(Row("cnn", "adag", 64, 1, 40));
  CHECK(EstimateSeconds(run, rows) == 40);  // its model
  rows.push_back(Row("cnn", "single", 16, 1, 90));
  rows.push_back(Row("cnn", "gem", 16, 1, 70));
  CHECK(EstimateSeconds(run, rows) == 80);  // and batch size
  rows.push_back(Row("cnn", "adag", 16, 1, 60));
  rows.push_back(Row("cnn", "adag", 16, 2, 62));
  CHECK(EstimateSeconds(run, rows) == 61);  // its cell
  // A run that has failed was shorter, and says nothing.
  rows.push_back(Row("cnn", "adag", 16, 4, 1));
  rows.back().status = "failed";
  CHECK(EstimateSeconds(run, rows) == 61);
  // Of an older bench there is the measured part alone.
  rows = {Row("mlp", "adag", 16, 1, 8)};
  rows[0].wall_s = BenchRow::kNone;
  CHECK(EstimateSeconds(run, rows) == 4);
}

TEST_CASE("what is left is the sum over the runs that have no row") {
  const std::vector<BenchRun> runs = {
      Run("mlp", "adag", 16, 1), Run("mlp", "adag", 16, 2),
      Run("cnn", "adag", 16, 1), Run("cnn", "adag", 16, 2)};
  std::vector<BenchRow> rows;
  CHECK(std::isnan(EstimateLeft(runs, rows)));
  rows = {Row("mlp", "adag", 16, 1, 2), Row("cnn", "adag", 16, 1, 100)};
  // The mean over all would say that half of the work is over.
  CHECK(EstimateLeft(runs, rows) == 102);
  rows.push_back(Row("cnn", "adag", 16, 2, 110));
  CHECK(EstimateLeft(runs, rows) == 2);
  rows.push_back(Row("mlp", "adag", 16, 2, 3));
  CHECK(EstimateLeft(runs, rows) == 0);
}

TEST_CASE("the bar is as full as runs are done, and says what is left") {
  CHECK(BarText(73, 72, NAN) == "[############] 72/72");
  CHECK(BarText(0, 72, NAN) == "[------------] 0/72");
  CHECK(BarText(12, 72, 1085) == "[##----------] 12/72  18m left");
  CHECK(BarText(71, 72, 59.9) == "[###########-] 71/72  59s left");
  CHECK(BarText(72, 72, 0) == "[############] 72/72  0 left");
  CHECK(LeftText(545) == "9m5s");
  CHECK(LeftText(INFINITY).empty());
}

TEST_CASE("a line of a run has what tells it from the others") {
  BenchChoices choices;
  BenchRow row = Row("mlp", "adag", 64, 2, 8);
  row.window = 5;
  CHECK(RunText(row, choices) ==
        "mlp adag      b=64   seed 2     4.00 s   17540 samples/s  acc 0.8423");
  choices.workers = {1, 2};
  choices.servers = {1, 2};
  choices.windows = {5, 10};
  row.wire = "bf16";
  row.status = "diverged";
  row.disturbed = true;
  row.other_load = 0.43;
  row.steal = 0.01;
  CHECK(
      RunText(row, choices) ==
      "mlp adag      b=64   w=2 servers=1 window=5 bf16 seed 2     4.00 s   "
      "17540 samples/s  acc 0.8423  diverged  disturbed (other processes used "
      "0.43 of a core)");
}

}  // namespace
}  // namespace monsoon
