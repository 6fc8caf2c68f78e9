// SPDX-License-Identifier: Apache-2.0
// Training rate of a model on one core: forward, backward and plain SGD folded
// into the weight-gradient product ({x, -lr, 1}), on inputs that stay in
// memory. Reported as items_per_second = samples/s; google benchmark does the
// warm-up and the repeats (--benchmark_repetitions=5).
#include <benchmark/benchmark.h>
#include <omp.h>

#include <string>

#include "models/model.h"

namespace monsoon {
namespace {

void TrainingStep(benchmark::State& state, const std::string& name) {
  omp_set_num_threads(1);
  const int batch = static_cast<int>(state.range(0));
  const Shape example{1, 28, 28};
  auto model = Model::Build(name, example, 10, {batch});
  if (!model.ok()) {
    state.SkipWithError(model.status().ToString().c_str());
    return;
  }
  Model& m = **model;
  for (int64_t i = 0; i < batch * example.size(); ++i) {
    m.input()[i] = static_cast<float>(i * 37 % 256) / 255;
  }
  for (int i = 0; i < batch; ++i) m.labels()[i] = i % 10;
  Flat x(m.layout().size());
  m.Initialize(1, x);
  for (auto _ : state) {
    benchmark::DoNotOptimize(m.Step(batch, x, {x, -0.001f, 1}));
  }
  state.SetItemsProcessed(state.iterations() * batch);
}

BENCHMARK_CAPTURE(TrainingStep, mlp, "mlp")
    ->Arg(16)
    ->Arg(32)
    ->Arg(64)
    ->Arg(256);
BENCHMARK_CAPTURE(TrainingStep, mlp_500_500, "mlp:500,500")->Arg(64);
BENCHMARK_CAPTURE(TrainingStep, cnn, "cnn")->Arg(16)->Arg(32)->Arg(64);

}  // namespace
}  // namespace monsoon

BENCHMARK_MAIN();
