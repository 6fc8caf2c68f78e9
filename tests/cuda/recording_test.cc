// SPDX-License-Identifier: Apache-2.0
// Kernels may be recorded: calls allocate nothing and wait for nothing, and a
// replay does what the calls did.
#include <catch2/catch.hpp>
#include <functional>
#include <utility>
#include <vector>

#include "models/kernels/dense.h"
#include "models/kernels/gather.h"
#include "models/kernels/softmax_cross_entropy.h"
#include "tests/cuda/emulator/emulator.h"
#include "tests/models/layer_bench.h"
#include "tests/models/layer_cases.h"
#include "tests/models/numbers.h"
#include "tests/models/on_device.h"

namespace monsoon {
namespace {

using Floats = std::vector<float>;

// What a call writes, float or Bf16.
struct Output {
  template <typename Number>
  explicit Output(OnDevice<Number>& there)
      : clear([&there] {
          const Number nan(NAN);
          there.Set(std::vector<Number>(there.Get().size(), nan));
        }),
        get([&there] {
          Floats found;
          for (const Number value : there.Get()) {
            found.push_back(static_cast<float>(value));
          }
          return found;
        }) {}

  std::function<void()> clear;
  std::function<Floats()> get;
};

// `enqueue` writes `outputs`, from what it leaves as it is.
void CheckReplay(const std::function<void()>& enqueue,
                 const std::vector<Output>& outputs) {
  DeviceQueue& queue = *TestDevice().queue;
  REQUIRE(queue.Record([] {}).ok());  // makes what recordings need
  std::vector<Floats> direct;
  const auto clear = [&] {
    for (const Output& output : outputs) output.clear();
  };
  clear();
  const emulator::Counters before = emulator::counters();
  enqueue();
  CHECK(emulator::counters().allocations == before.allocations);
  CHECK(emulator::counters().waits == before.waits);
  for (const Output& output : outputs) direct.push_back(output.get());
  clear();
  const auto recording = queue.Record(enqueue);
  REQUIRE(recording.ok());
  for (int replay = 0; replay < 2; ++replay) {
    clear();
    queue.Replay(**recording);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Floats found = outputs[i].get();
      CHECK(AllFinite(found));
      CHECK(found == direct[i]);
    }
  }
  CHECK(queue.status().ok());
}

Floats FloatsOf(const Flat& flat) {
  return {flat.span().begin(), flat.span().end()};
}

// Forward and backward of a training pass. Statistics move with each, which
// training does not read.
template <typename Number>
void CheckLayerReplay(LayerCase test) {
  test.input_type = test.output_type = kDataTypeOf<Number>;
  INFO(test.name << ", numbers of " << sizeof(Number) << " bytes");
  LayerBench bench(test);
  Fill(bench);
  const auto numbers = [](const Flat& flat) {
    return std::vector<Number>(flat.span().begin(), flat.span().end());
  };
  OnDevice<Number> x(numbers(bench.x)), dy(numbers(bench.dy));
  OnDevice<float> w(FloatsOf(bench.w));
  OnDevice<Number> y(size_t(bench.y.size())), dx(size_t(bench.x.size()));
  OnDevice<float> dw(size_t(bench.trainable));
  Placement place = bench.place;
  place.output.data = y.data();
  place.output.gradient = dy.data();
  int64_t at = 0;
  for (Value& input : place.inputs) {
    input.data = x.data() + at;
    input.gradient = dx.data() + at;
    at += place.batch * input.shape.size();
  }
  const auto op = *test.layer->Build(place);
  DeviceQueue* const queue = place.device.queue;
  Flat parameters = Flat::View(w.data(), bench.w.size(), queue);
  Flat gradient = Flat::View(dw.data(), bench.trainable, queue);
  const Pass pass{.x = parameters, .training = true, .draw = 3};
  CheckReplay(
      [&] {
        op->Forward(pass);
        op->Backward(pass, {gradient, 0.5f});
      },
      {Output(y), Output(dx), Output(dw)});
}

template <typename Number>
void CheckLayerReplays() {
  std::vector<LayerCase> all[] = {
      PlainCases(),    AddCases(),     ConcatCases(), AverageCases(),
      UpsampleCases(), SoftmaxCases(), DenseCases(),  BatchNormCases()};
  for (auto& cases : all) {
    for (LayerCase& test : cases) CheckLayerReplay<Number>(std::move(test));
  }
  CheckLayerReplay<Number>(DropoutCase(0.5, 3, {5, 3, 7}));
  CheckLayerReplay<Number>(SoftmaxCase("many channels", 2, {35, 1, 1}, 1));
  CheckLayerReplay<Number>(AverageCase("a large window", 2, {8, 7, 9}, 8, 0));
  CheckLayerReplay<Number>(BatchNormCase("in parts", 4, {3, 32, 31}, 3));
}

TEST_CASE("A replay of a layer does what its calls did", "[cuda]") {
  CheckLayerReplays<float>();
  CheckLayerReplays<Bf16>();
}

// The weights' gradient is added to zeros here, by the product itself.
TEST_CASE("A replay of a dense layer does what its calls did", "[cuda]") {
  const Precision precision =
      GENERATE(Precision::kFp32, Precision::kTf32, Precision::kBf16);
  const DenseKernel::Spec s = {.batch = 130,
                               .inputs = 17,
                               .outputs = 9,
                               .relu = true,
                               .precision = precision};
  const auto kernel = *MakeKernel<DenseKernel>(TestDevice(), s);
  OnDevice<float> x(FloatsOf(Draw(s.batch * s.inputs, 1)));
  // The bias behind the weights, at an odd place.
  OnDevice<float> w(FloatsOf(Draw(s.outputs * (s.inputs + 1), 2)));
  OnDevice<float> dy(FloatsOf(Draw(s.batch * s.outputs, 3)));
  OnDevice<float> y(size_t(s.batch * s.outputs));
  OnDevice<float> dx(size_t(s.batch * s.inputs));
  OnDevice<float> dw(size_t(s.outputs * (s.inputs + 1)));
  const int64_t bias = s.outputs * s.inputs;
  DeviceQueue& queue = *TestDevice().queue;
  Flat gradient = Flat::View(dw.data(), bias + s.outputs, &queue);
  CheckReplay(
      [&] {
        kernel->Forward(x.data(), w.data(), w.data() + bias, y.data());
        queue.Zero(dw.data(), size_t(bias + s.outputs) * sizeof(float));
        kernel->Backward(x.data(), y.data(), w.data(), dy.data(), dx.data(),
                         {{gradient, 0.5f, 1}, 0}, {{gradient, 0.5f, 1}, bias});
      },
      {Output(y), Output(dx), Output(dw)});
}

TEST_CASE("A replay of a loss does what its call did", "[cuda]") {
  for (const int64_t batch : {3, 700}) {
    const auto kernel = *MakeKernel<SoftmaxCrossEntropyKernel>(
        TestDevice(), {.batch = batch, .logits = {.channels = 7}});
    OnDevice<float> z(FloatsOf(Draw(batch * 7, 1)));
    OnDevice<float> dz(size_t(batch) * 7);
    OnDevice<int32_t> labels(std::vector<int32_t>(size_t(batch), 3));
    // As floats of the same bits, to be cleared.
    OnDevice<float> score(sizeof(Score) / sizeof(float));
    CheckReplay(
        [&] {
          kernel->Run(z.data(), labels.data(), 0.1, dz.data(),
                      reinterpret_cast<Score*>(score.data()));
        },
        {Output(dz), Output(score)});
  }
}

TEST_CASE("A replay gathers the rows that are asked for then", "[cuda]") {
  const auto kernel =
      *MakeKernel<GatherKernel>(TestDevice(), {.batch = 2, .example_size = 4});
  OnDevice<uint8_t> images({0, 51, 102, 153, 255, 204, 153, 102, 1, 2, 3, 4});
  OnDevice<uint8_t> labels({7, 8, 9});
  OnDevice<int64_t> rows({0, 1});
  OnDevice<float> x(8);
  OnDevice<int32_t> y(2);
  DeviceQueue& queue = *TestDevice().queue;
  REQUIRE(queue.Record([] {}).ok());
  const int allocations = emulator::counters().allocations;
  const auto recording = queue.Record([&] {
    kernel->Run(images.data(), labels.data(), rows.data(), x.data(), y.data());
  });
  REQUIRE(recording.ok());
  queue.Replay(**recording);
  CHECK(emulator::counters().allocations == allocations);
  CHECK(x.Get() == Floats{0, 0.2f, 0.4f, 0.6f, 1, 0.8f, 0.6f, 0.4f});
  CHECK(y.Get() == std::vector<int32_t>{7, 8});
  rows.Set({1, 0});
  queue.Replay(**recording);
  CHECK(x.Get() == Floats{1, 0.8f, 0.6f, 0.4f, 0, 0.2f, 0.4f, 0.6f});
  CHECK(y.Get() == std::vector<int32_t>{8, 7});
}

}  // namespace
}  // namespace monsoon
