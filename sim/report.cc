// SPDX-License-Identifier: Apache-2.0
#include "sim/report.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

Json Of(const Utilization& utilization) {
  return {{"mean", utilization.mean}, {"max", utilization.max}};
}

std::string Percent(const Json& utilization) {
  return absl::StrFormat("%.0f %% (max %.0f %%)",
                         100 * utilization["mean"].get<double>(),
                         100 * utilization["max"].get<double>());
}

}  // namespace

Json SummarizeSimulation(const SimulationInputs& inputs,
                         const Simulation& simulation, RunState state,
                         const Evaluation* test) {
  const SimulationSpec& spec = inputs.spec;
  Json json = Summarize({.outcome = simulation.outcome,
                         .state = state,
                         .test = test,
                         .curve = simulation.curve,
                         .servers = simulation.other_servers});
  json["transport"] = "virtual";
  json["peak_rss_bytes"] = nullptr;
  json["compute"] = spec.compute.Text();
  json["network"] = spec.network.Text();
  json["server_rate"] = spec.server_rate.Text();
  json["stragglers"] = spec.stragglers.Text();
  json["crash"] = spec.crash.Text();
  json["restart"] = TimeText(spec.restart);
  json["gradients"] = spec.gradients.Text();
  json["virtual_s"] = simulation.virtual_s;
  json["samples_applied"] = simulation.samples_applied;
  json["samples_lost"] = simulation.samples_lost;
  json["crashes"] = simulation.crashes;
  json["utilization"] = {{"workers", Of(simulation.computing)},
                         {"worker_out", Of(simulation.worker_out)},
                         {"worker_in", Of(simulation.worker_in)},
                         {"servers", Of(simulation.server_core)},
                         {"server_out", Of(simulation.server_out)},
                         {"server_in", Of(simulation.server_in)}};
  return json;
}

std::string DescribeSimulation(const Json& s) {
  const Json& busy = s["utilization"];
  return absl::StrCat(
      DescribeSummary(s), "\nSimulated: compute ",
      s["compute"].get<std::string>(), ", network ",
      s["network"].get<std::string>(), "; ", s["crashes"].dump(),
      " crashes, which took ", s["samples_lost"].dump(),
      " samples. Busy: workers ", Percent(busy["workers"]), ", servers' cores ",
      Percent(busy["servers"]), ", their ports in ", Percent(busy["server_in"]),
      ", out ", Percent(busy["server_out"]), ".");
}

}  // namespace monsoon
