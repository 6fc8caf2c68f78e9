// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sim/cluster.h"
#include "worker/evaluate.h"
#include "worker/summary.h"

namespace monsoon {

// The one JSON object of a simulation: Summarize's of a real run, with every
// field virtual (docs/simulator.md), then what was simulated and what only a
// simulation knows. `test` is of the result; without one its fields are null.
nlohmann::ordered_json SummarizeSimulation(const SimulationInputs& inputs,
                                           const Simulation& simulation,
                                           RunState state,
                                           const Evaluation* test);

// The same for people, in some lines, the last without its newline.
std::string DescribeSimulation(const nlohmann::ordered_json& summary);

}  // namespace monsoon
