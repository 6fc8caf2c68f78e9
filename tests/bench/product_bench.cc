// SPDX-License-Identifier: Apache-2.0
// Dense layers and convolutions on one core, beside sgemm.
#include <benchmark/benchmark.h>

#include <memory>

#include "models/kernels/conv2d.h"
#include "models/kernels/conv_transpose2d.h"
#include "models/kernels/dense.h"
#include "tests/bench/bench_limits.h"

namespace monsoon {
namespace {

// Numbers of all sizes below 1: zeros or denormals would be timed otherwise.
Flat Numbers(int64_t size) {
  Flat flat(size);
  for (int64_t i = 0; i < size; ++i) {
    flat[i] = static_cast<float>(i * 37 % 101) / 101 - 0.5f;
  }
  return flat;
}

// Arguments: batch, inputs, outputs.
void DenseStep(benchmark::State& state) {
  const DenseKernel::Spec spec = {.batch = state.range(0),
                                  .inputs = state.range(1),
                                  .outputs = state.range(2),
                                  .relu = true};
  const auto kernel = *MakeKernel<DenseKernel>(Device(), spec);
  Flat x = Numbers(spec.batch * spec.inputs), dx(x.size());
  Flat y(spec.batch * spec.outputs), dy = Numbers(y.size());
  Flat w = Numbers(spec.inputs * spec.outputs), b = Numbers(spec.outputs);
  const ArithmeticBench limit;
  for (auto _ : state) {
    kernel->Forward(x.data(), w.data(), b.data(), y.data());
    kernel->Backward(x.data(), y.data(), w.data(), dy.data(), dx.data(),
                     {{w, -1e-9f, 1}, 0}, {{b, -1e-9f, 1}, 0});
  }
  limit.Report(state, 3 * 2.0 * static_cast<double>(spec.batch * w.size()));
}
BENCHMARK(DenseStep)
    ->ArgNames({"batch", "inputs", "outputs"})
    ->ArgsProduct({{16, 64, 256}, {784}, {1000}})
    ->ArgsProduct({{16, 64, 256}, {1000}, {250}})
    ->ArgsProduct({{16, 64, 256}, {4608}, {225}})
    ->Args({64, 250, 10});

struct ConvCase {
  const char* name;
  Shape in;
  int64_t channels, kernel, stride, padding;
  int64_t pool = 1;
};
constexpr ConvCase kConvs[] = {{"cnn conv1", {1, 28, 28}, 32, 3, 1, 0},
                               {"cnn conv2", {32, 26, 26}, 32, 3, 1, 0, 2},
                               {"resnet 16", {16, 32, 32}, 16, 3, 1, 1},
                               {"resnet 32", {32, 16, 16}, 32, 3, 1, 1},
                               {"resnet 64", {64, 8, 8}, 64, 3, 1, 1},
                               {"halving", {16, 32, 32}, 32, 3, 2, 1},
                               {"1x1", {32, 16, 16}, 64, 1, 1, 0}};

// Arguments: index into kConvs, batch. Forward and backward.
void ConvStep(benchmark::State& state) {
  const ConvCase& c = kConvs[state.range(0)];
  const int64_t rows = (c.in.height + 2 * c.padding - c.kernel) / c.stride + 1;
  const Conv2dKernel::Spec spec = {.batch = state.range(1),
                                   .in = c.in,
                                   .out = {c.channels, rows, rows},
                                   .block = c.in.channels % 8 == 0 ? 8 : 1,
                                   .kernel = c.kernel,
                                   .stride = c.stride,
                                   .padding = c.padding,
                                   .pool = c.pool,
                                   .relu = true,
                                   .input_gradient = c.in.channels > 1};
  const auto kernel = *MakeKernel<Conv2dKernel>(Device(), spec);
  const int64_t weights = c.channels * c.in.channels * c.kernel * c.kernel;
  Flat x = Numbers(spec.batch * spec.in.size()), dx(x.size());
  Flat y(spec.batch * spec.pooled().size()), dy = Numbers(y.size());
  Flat w = Numbers(weights), b = Numbers(c.channels);
  const ArithmeticBench limit;
  for (auto _ : state) {
    kernel->Forward(x.data(), w.data(), b.data(), y.data());
    kernel->Backward(x.data(), y.data(), w.data(), dy.data(),
                     spec.input_gradient ? dx.data() : nullptr,
                     {{w, -1e-9f, 1}, 0}, {{b, -1e-9f, 1}, 0});
  }
  const double products = spec.input_gradient ? 3 : 2;
  limit.Report(
      state,
      products * 2.0 * static_cast<double>(spec.batch * rows * rows * weights));
  state.SetLabel(std::string(c.name) + ": " + kernel->way());
}
BENCHMARK(ConvStep)
    ->ArgNames({"case", "batch"})
    ->ArgsProduct({{0, 1, 2, 3, 4, 5, 6}, {16, 32}});

// What unet enlarges by. Argument: batch. Forward and backward.
void ConvTransposeStep(benchmark::State& state) {
  const ConvTranspose2dKernel::Spec spec = {.batch = state.range(0),
                                            .in = {32, 16, 16},
                                            .out = {16, 32, 32},
                                            .block = 8,
                                            .kernel = 2,
                                            .stride = 2,
                                            .padding = 0};
  const auto kernel = *MakeKernel<ConvTranspose2dKernel>(Device(), spec);
  Flat x = Numbers(spec.batch * spec.in.size()), dx(x.size());
  Flat y(spec.batch * spec.out.size());
  const Flat dy = Numbers(y.size());
  Flat w =
      Numbers(spec.in.channels * spec.out.channels * spec.kernel * spec.kernel);
  Flat b = Numbers(spec.out.channels);
  const ArithmeticBench limit;
  for (auto _ : state) {
    kernel->Forward(x.data(), w.data(), b.data(), y.data());
    kernel->Backward(x.data(), y.data(), w.data(), dy.data(), dx.data(),
                     {{w, -1e-9f, 1}, 0}, {{b, -1e-9f, 1}, 0});
  }
  limit.Report(state, 3 * 2.0 *
                          static_cast<double>(spec.batch * spec.in.height *
                                              spec.in.width * w.size()));
}
BENCHMARK(ConvTransposeStep)->Arg(32);

}  // namespace
}  // namespace monsoon

BENCHMARK_MAIN();
