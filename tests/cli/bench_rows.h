// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/bench_tables.h"

// Runs of a small bench, for the tests of its tables.
namespace monsoon {

inline BenchRow Row(const std::string& trainer, int batch_size, uint64_t seed,
                    double elapsed_s, double test_acc) {
  BenchRow row;
  row.trainer = trainer;
  row.model = "mlp";
  row.status = "done";
  row.batch_size = batch_size;
  row.workers = trainer == "single" ? 1 : 2;
  row.seed = seed;
  row.elapsed_s = elapsed_s;
  row.samples_per_s = 60000 / elapsed_s;
  row.staleness_mean = 1.25;
  row.test_acc = test_acc;
  return row;
}

inline BenchRow Ended(BenchRow row, const std::string& status) {
  row.status = status;
  row.elapsed_s = row.test_acc = row.samples_per_s = BenchRow::kNone;
  return row;
}

inline const BenchMatrix kMatrix = {.models = {"mlp"},
                                    .trainers = {"single", "adag"},
                                    .batch_sizes = {64, 16},
                                    .workers = {2},
                                    .repeat = 3,
                                    .setting = "fashion-mnist, 2 workers"};

inline std::vector<BenchRow> Rows() {
  return {Row("adag", 64, 2, 2.5, 0.85),
          Row("single", 16, 1, 9, 0.86),
          Row("adag", 64, 1, 2.25, 0.84),
          Row("single", 64, 3, 4, 0.83),
          Row("adag", 64, 3, 11.0, 0.875),
          Row("single", 64, 2, 5, 0.82),
          Ended(Row("single", 64, 1, 0, 0), "failed"),
          Ended(Row("adag", 16, 1, 0, 0), "diverged")};
}

}  // namespace monsoon
