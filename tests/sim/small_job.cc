// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/small_job.h"

#include <nlohmann/json.hpp>

#include "base/random.h"
#include "base/status_macros.h"

namespace monsoon {

Dataset SmallJob::Data(int64_t samples) {
  Dataset data{.name = "made-up",
               .hash = "0123456789abcdef",
               .classes = 3,
               .height = 4,
               .width = 4,
               .total = samples};
  Random random({7, 7});
  for (int64_t i = 0; i < samples; ++i) {
    const auto label = static_cast<uint8_t>(random.Below(3));
    data.labels.push_back(label);
    for (int pixel = 0; pixel < 16; ++pixel) {
      const uint64_t light = pixel / 4 == label ? 128 : 0;
      data.images.push_back(static_cast<uint8_t>(light + random.Below(128)));
    }
  }
  return data;
}

absl::StatusOr<Simulation> SmallJob::Run() {
  RETURN_IF_ERROR(ResolveOptions(options));
  const Dataset test = Data(90);
  const std::atomic<int> stop = 0;
  return Simulate({.options = options,
                   .spec = spec,
                   .train = data,
                   .test = &test,
                   .stop = stop,
                   .seams = seams});
}

std::string SmallJob::Json() {
  const absl::StatusOr<Simulation> simulation = Run();
  if (!simulation.ok()) return simulation.status().ToString();
  const std::atomic<int> stop = 0;
  const SimulationInputs inputs{
      .options = options, .spec = spec, .train = data, .stop = stop};
  return SummarizeSimulation(inputs, *simulation,
                             StateOf(simulation->outcome.status), nullptr)
      .dump();
}

}  // namespace monsoon
