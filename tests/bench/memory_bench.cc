// SPDX-License-Identifier: Apache-2.0
// What reads and writes more than it computes, on one core, beside a copy of
// as many bytes.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "data/dataset.h"
#include "models/kernels/max_pool.h"
#include "models/kernels/plain_order.h"
#include "models/kernels/relu.h"
#include "models/kernels/softmax_cross_entropy.h"
#include "tests/bench/bench_limits.h"
#include "trainers/optimizer.h"

namespace monsoon {
namespace {

constexpr double kFloat = sizeof(float);

// A forward and a backward of cnn's pooling: argument is the batch.
void MaxPool(benchmark::State& state) {
  const MaxPoolKernel::Spec spec = {
      .batch = state.range(0), .in = {32, 24, 24}, .block = 8, .size = 2};
  const auto kernel = *MakeKernel<MaxPoolKernel>("cpu", spec);
  const int64_t size = spec.batch * spec.in.size();
  Flat x(size), dx(size), y(size / 4);
  const double bytes = static_cast<double>(size) * 2.5 * kFloat;
  const BandwidthBench limit(bytes);
  for (auto _ : state) {
    kernel->Forward(x.data(), y.data());
    kernel->Backward(y.data(), dx.data());
  }
  limit.Report(state, bytes);
}
BENCHMARK(MaxPool)->Arg(32);

void Relu(benchmark::State& state) {
  const auto kernel = *MakeKernel<ReluKernel>("cpu", {.size = state.range(0)});
  Flat x(state.range(0)), dx(state.range(0));
  const double bytes = 5 * kFloat * static_cast<double>(state.range(0));
  const BandwidthBench limit(bytes);
  for (auto _ : state) {
    kernel->Forward(x.data(), x.data());
    kernel->Backward(x.data(), dx.data(), dx.data());
  }
  limit.Report(state, bytes);
}
BENCHMARK(Relu)->Arg(32 * 4608)->Arg(32 * 32 * 26 * 26);

void PlainOrder(benchmark::State& state) {
  const PlainOrderKernel::Spec spec = {
      .batch = state.range(0), .shape = {32, 12, 12}, .block = 8};
  const auto kernel = *MakeKernel<PlainOrderKernel>("cpu", spec);
  const int64_t size = spec.batch * spec.shape.size();
  Flat x(size), y(size);
  const double bytes = 4 * kFloat * static_cast<double>(size);
  const BandwidthBench limit(bytes);
  for (auto _ : state) {
    kernel->Forward(x.data(), y.data());
    kernel->Backward(y.data(), x.data());
  }
  limit.Report(state, bytes);
}
BENCHMARK(PlainOrder)->Arg(32);

void SoftmaxCrossEntropy(benchmark::State& state) {
  const int64_t batch = state.range(0), classes = 10;
  const auto kernel = *MakeKernel<SoftmaxCrossEntropyKernel>(
      "cpu", {.batch = batch, .logits = {classes, 1, 1}, .block = 1});
  Flat z(batch * classes), dz(batch * classes);
  const std::vector<int32_t> labels(static_cast<size_t>(batch), 3);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        kernel->Run(z.data(), labels.data(), 0, dz.data()));
  }
  state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(SoftmaxCrossEntropy)->Arg(64);

// Bytes of a set into floats of a batch.
void GatherBatch(benchmark::State& state) {
  constexpr int64_t kExamples = 60000;
  Dataset data;
  data.classes = 10;
  data.height = data.width = 28;
  data.images.resize(kExamples * 28 * 28, 100);
  data.labels.resize(kExamples, 1);
  const int64_t batch = state.range(0);
  std::vector<int64_t> rows(static_cast<size_t>(batch));
  std::vector<int32_t> labels(rows.size());
  Flat input(batch * data.example_size());
  const double bytes = (1 + kFloat) * static_cast<double>(input.size());
  const BandwidthBench limit(bytes);
  int64_t next = 0;
  for (auto _ : state) {
    for (int64_t& row : rows) row = next = (next + 7919) % kExamples;
    Gather(data, rows, input.data(), labels.data());
  }
  limit.Report(state, bytes);
}
BENCHMARK(GatherBatch)->Arg(16)->Arg(64)->Arg(512);

// Vectors of the size of mlp: argument is the number that a rule reads and
// writes, x and gradient included.
void OptimizerStep(benchmark::State& state, const char* name, int vectors) {
  constexpr int64_t kSize = 1037760;
  const auto optimizer = *MakeOptimizer(name, 1e-6f);
  Flat x(kSize), gradient(kSize);
  Slots slots(kSize);
  optimizer->Step(1e-6f, gradient, x, slots);
  // Each is read; all but the gradient are written.
  const double bytes = kFloat * kSize * (2 * vectors - 1);
  const BandwidthBench limit(bytes);
  for (auto _ : state) optimizer->Step(1e-6f, gradient, x, slots);
  limit.Report(state, bytes);
}
BENCHMARK_CAPTURE(OptimizerStep, sgd, "sgd", 2);
BENCHMARK_CAPTURE(OptimizerStep, momentum, "momentum", 3);
BENCHMARK_CAPTURE(OptimizerStep, nesterov, "nesterov", 3);
BENCHMARK_CAPTURE(OptimizerStep, adagrad, "adagrad", 3);
BENCHMARK_CAPTURE(OptimizerStep, adam, "adam", 4);

}  // namespace
}  // namespace monsoon
