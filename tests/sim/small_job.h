// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>

#include "sim/cluster.h"
#include "sim/report.h"

namespace monsoon {

// A simulated job on data that are made up, for tests. A value.
struct SmallJob {
  // `samples` of 4 x 4 bytes in 3 classes, which differ in their brightest row.
  static Dataset Data(int64_t samples);

  Dataset data = Data(60);
  Options options = {};  // resolved by Run
  SimulationSpec spec = {};
  SimulationSeams seams = {};

  absl::StatusOr<Simulation> Run();
  // Run, which must succeed, as the command prints it; `test` of the same kind
  // of data.
  std::string Json();
};

}  // namespace monsoon
