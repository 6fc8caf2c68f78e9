// SPDX-License-Identifier: Apache-2.0
// What reads and writes more than it computes, on one core, beside a copy of
// as many bytes.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "data/dataset.h"
#include "models/kernels/add.h"
#include "models/kernels/average_pool.h"
#include "models/kernels/batch_norm.h"
#include "models/kernels/concat.h"
#include "models/kernels/dropout.h"
#include "models/kernels/max_pool.h"
#include "models/kernels/plain_order.h"
#include "models/kernels/relu.h"
#include "models/kernels/softmax.h"
#include "models/kernels/softmax_cross_entropy.h"
#include "models/kernels/upsample.h"
#include "tests/bench/bench_limits.h"
#include "trainers/optimizer.h"

namespace monsoon {
namespace {

// Of the layers that only move numbers: what resnet20 and unet have in their
// largest ones, eight channels to a block.
constexpr Shape kShape = {16, 32, 32};
constexpr int64_t kBlock = 8;

double BytesOf(int64_t floats) {
  return static_cast<double>(floats) * sizeof(float);
}

// Times `pass`, which reads and writes `floats`.
template <typename Fn>
void Measure(benchmark::State& state, int64_t floats, Fn pass) {
  const BandwidthBench limit(BytesOf(floats));
  for (auto _ : state) pass();
  limit.Report(state, BytesOf(floats));
}

// The functions below compute a forward and a backward pass. Argument: batch.

void MaxPool(benchmark::State& state) {
  const MaxPoolKernel::Spec spec = {
      .batch = state.range(0), .in = {32, 24, 24}, .block = kBlock, .size = 2};
  const auto kernel = *MakeKernel<MaxPoolKernel>(Device(), spec);
  const int64_t size = spec.batch * spec.in.size();
  Flat x(size), dx(size), y(size / 4);
  Measure(state, size * 5 / 2, [&] {
    kernel->Forward(x.data(), y.data());
    kernel->Backward(y.data(), dx.data());
  });
}
BENCHMARK(MaxPool)->Arg(32);

void AveragePool(benchmark::State& state) {
  const AveragePoolKernel::Spec spec = {.batch = state.range(0),
                                        .in = kShape,
                                        .block = kBlock,
                                        .height = 2,
                                        .width = 2};
  const auto kernel = *MakeKernel<AveragePoolKernel>(Device(), spec);
  const int64_t size = spec.batch * spec.in.size();
  Flat x(size), dx(size), y(size / 4);
  Measure(state, size * 5 / 2, [&] {
    kernel->Forward(x.data(), y.data());
    kernel->Backward(y.data(), dx.data());
  });
}
BENCHMARK(AveragePool)->Arg(32);

void Upsample(benchmark::State& state, bool bilinear) {
  const UpsampleKernel::Spec spec = {.batch = state.range(0),
                                     .in = kShape,
                                     .block = kBlock,
                                     .scale = 2,
                                     .bilinear = bilinear};
  const auto kernel = *MakeKernel<UpsampleKernel>(Device(), spec);
  const int64_t size = spec.batch * spec.in.size();
  Flat x(size), dx(size), y(size * 4);
  Measure(state, size * 10, [&] {
    kernel->Forward(x.data(), y.data());
    kernel->Backward(y.data(), dx.data());
  });
}
BENCHMARK_CAPTURE(Upsample, nearest, false)->Arg(32);
BENCHMARK_CAPTURE(Upsample, bilinear, true)->Arg(32);

void BatchNorm(benchmark::State& state) {
  const BatchNormKernel::Spec spec = {.batch = state.range(0),
                                      .shape = kShape,
                                      .block = kBlock,
                                      .momentum = 0.1f,
                                      .epsilon = 1e-5f};
  const auto kernel = *MakeKernel<BatchNormKernel>(Device(), spec);
  const int64_t size = spec.batch * kShape.size();
  Flat x(size), y(size), dx(size);
  Flat scale(kShape.channels), shift(kShape.channels), mean(kShape.channels),
      variance(kShape.channels);
  for (int64_t i = 0; i < size; ++i) x[i] = static_cast<float>(i % 101);
  // Both passes read twice what they read.
  Measure(state, size * 8, [&] {
    kernel->Train(x.data(), {scale.data(), shift.data()},
                  {mean.data(), variance.data()}, y.data());
    kernel->Backward(x.data(), y.data(), scale.data(), dx.data(), {{scale}, 0},
                     {{shift}, 0});
  });
}
BENCHMARK(BatchNorm)->Arg(32);

void Dropout(benchmark::State& state) {
  const int64_t size = state.range(0) * kShape.size();
  const auto kernel =
      *MakeKernel<DropoutKernel>(Device(), {.size = size, .rate = 0.5});
  Flat x(size);
  uint64_t key = 0;
  Measure(state, size * 4, [&] {
    kernel->Apply(++key, x.data(), x.data());
    kernel->Apply(key, x.data(), x.data());
  });
}
BENCHMARK(Dropout)->Arg(32);

void Softmax(benchmark::State& state) {
  const SoftmaxKernel::Spec spec = {
      .batch = state.range(0), .shape = kShape, .block = kBlock};
  const auto kernel = *MakeKernel<SoftmaxKernel>(Device(), spec);
  const int64_t size = spec.batch * kShape.size();
  Flat x(size), y(size), dx(size);
  Measure(state, size * 5, [&] {
    kernel->Forward(x.data(), y.data());
    kernel->Backward(y.data(), x.data(), dx.data());
  });
}
BENCHMARK(Softmax)->Arg(32);

void Add(benchmark::State& state) {
  const AddKernel::Spec spec = {.batch = state.range(0),
                                .shape = kShape,
                                .block = kBlock,
                                .b_block = kBlock};
  const auto kernel = *MakeKernel<AddKernel>(Device(), spec);
  const int64_t size = spec.batch * kShape.size();
  Flat a(size), b(size), db(size);
  Measure(state, size * 5, [&] {
    kernel->Forward(a.data(), b.data(), a.data());
    kernel->Backward(a.data(), a.data(), db.data());
  });
}
BENCHMARK(Add)->Arg(32);

void Concat(benchmark::State& state) {
  const int64_t channels = kShape.channels;
  const auto kernel = *MakeKernel<ConcatKernel>(
      Device(), {.batch = state.range(0),
                 .space = kShape.height * kShape.width,
                 .parts = {{channels, kBlock}, {channels, kBlock}}});
  const int64_t size = state.range(0) * kShape.size();
  Flat a(size), b(size), y(2 * size);
  const float* const from[] = {a.data(), b.data()};
  float* const to[] = {a.data(), b.data()};
  Measure(state, size * 8, [&] {
    kernel->Forward(from, y.data());
    kernel->Backward(y.data(), to);
  });
}
BENCHMARK(Concat)->Arg(32);

void PlainOrder(benchmark::State& state) {
  const PlainOrderKernel::Spec spec = {
      .batch = state.range(0), .shape = {32, 12, 12}, .block = kBlock};
  const auto kernel = *MakeKernel<PlainOrderKernel>(Device(), spec);
  const int64_t size = spec.batch * spec.shape.size();
  Flat x(size), y(size);
  Measure(state, size * 4, [&] {
    kernel->Forward(x.data(), y.data());
    kernel->Backward(y.data(), x.data());
  });
}
BENCHMARK(PlainOrder)->Arg(32);

// Argument: how many numbers.
void Relu(benchmark::State& state) {
  const auto kernel =
      *MakeKernel<ReluKernel>(Device(), {.size = state.range(0)});
  Flat x(state.range(0)), dx(state.range(0));
  Measure(state, state.range(0) * 5, [&] {
    kernel->Forward(x.data(), x.data());
    kernel->Backward(x.data(), dx.data(), dx.data());
  });
}
BENCHMARK(Relu)->Arg(32 * 4608)->Arg(32 * 32 * 26 * 26);

void SoftmaxCrossEntropy(benchmark::State& state) {
  const int64_t batch = state.range(0), classes = 10;
  const auto kernel = *MakeKernel<SoftmaxCrossEntropyKernel>(
      Device(), {.batch = batch, .logits = {classes, 1, 1}, .block = 1});
  Flat z(batch * classes), dz(batch * classes);
  const std::vector<int32_t> labels(static_cast<size_t>(batch), 3);
  for (auto _ : state) {
    Score score;
    kernel->Run(z.data(), labels.data(), 0, dz.data(), &score);
    benchmark::DoNotOptimize(score);
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
  // A byte becomes a float.
  const double bytes =
      static_cast<double>(input.size()) + BytesOf(input.size());
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
  Measure(state, kSize * (2 * vectors - 1),
          [&] { optimizer->Step(1e-6f, gradient, x, slots); });
}
BENCHMARK_CAPTURE(OptimizerStep, sgd, "sgd", 2);
BENCHMARK_CAPTURE(OptimizerStep, momentum, "momentum", 3);
BENCHMARK_CAPTURE(OptimizerStep, nesterov, "nesterov", 3);
BENCHMARK_CAPTURE(OptimizerStep, adagrad, "adagrad", 3);
BENCHMARK_CAPTURE(OptimizerStep, adam, "adam", 4);

}  // namespace
}  // namespace monsoon
