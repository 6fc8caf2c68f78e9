// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <string>

#include "report/compared_run.h"

namespace monsoon {

// A run for tests of comparisons: its cell is "mlp on fashion-mnist, TRAINER,
// batch 64, 2 workers, 1 server".
inline ComparedRun RunOf(const std::string& trainer, const std::string& seed,
                         double elapsed_s, double test_acc) {
  ComparedRun run;
  run.cell = {.model = "mlp",
              .data = "fashion-mnist",
              .trainer = trainer,
              .workers = 2,
              .servers = 1,
              .wire = "fp32",
              .batch_size = 64};
  run.status = "done";
  run.seed = seed;
  run.values.assign(ComparedFields().size(),
                    std::numeric_limits<double>::quiet_NaN());
  run.values[static_cast<size_t>(FindComparedField("elapsed_s"))] = elapsed_s;
  run.values[static_cast<size_t>(FindComparedField("test_acc"))] = test_acc;
  return run;
}

}  // namespace monsoon
