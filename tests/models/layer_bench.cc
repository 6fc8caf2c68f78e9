// SPDX-License-Identifier: Apache-2.0
#include "tests/models/layer_bench.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "absl/functional/function_ref.h"
#include "base/random.h"

namespace monsoon {
namespace {

// Where (n, c, h, w) lies in memory; see Value.
int64_t Offset(const Shape& s, int64_t block, int64_t n, int64_t c, int64_t h,
               int64_t w) {
  return (((n * (s.channels / block) + c / block) * s.height + h) * s.width +
          w) *
             block +
         c % block;
}

// Of the i-th number in plain order.
int64_t PlainPlace(const Value& value, int64_t i) {
  const Shape& s = value.shape;
  const int64_t space = s.height * s.width;
  return Offset(s, value.block, i / s.size(), i / space % s.channels,
                i % space / s.width, i % s.width);
}

// Between the host's floats and a device's numbers of a type.
void Send(const Flat& here, DataType type, Flat& there) {
  if (type == DataType::kFloat32) {
    there.CopyFrom(here);
    return;
  }
  std::vector<Bf16> rounded(here.span().begin(), here.span().end());
  there.queue()->Copy(there.data(), rounded.data(),
                      rounded.size() * sizeof(Bf16));
}
void Fetch(const Flat& there, DataType type, Flat& here) {
  if (type == DataType::kFloat32) {
    here.CopyFrom(there);
    return;
  }
  std::vector<Bf16> rounded(static_cast<size_t>(here.size()));
  there.queue()->Copy(rounded.data(), there.data(),
                      rounded.size() * sizeof(Bf16));
  there.queue()->Wait().IgnoreError();  // it keeps its status
  std::transform(rounded.begin(), rounded.end(), here.span().begin(),
                 [](Bf16 value) { return static_cast<float>(value); });
}

// The largest |found - expected| beside what it may be; a NaN is infinitely
// large. Both lie as they say. What is besides is the difference of float32
// sums that two devices make in other orders.
double WorstRounding(int64_t size, const Roundings& may,
                     absl::FunctionRef<double(int64_t)> found,
                     absl::FunctionRef<double(int64_t)> expected) {
  double worst = 0;
  for (int64_t i = 0; i < size; ++i) {
    const double magnitude = std::abs(expected(i));
    // Roundings of what is rounded already count 2^-8 of 2^-8 more.
    const double bound = 0x1.01p-8 * (may.times * magnitude + may.other) +
                         5e-6 * (1 + magnitude);
    const double error = std::abs(found(i) - expected(i));
    if (std::isnan(error)) return HUGE_VAL;
    worst = std::max(worst, error / bound);
  }
  return worst;
}

// Numbers that bfloat16 has exactly.
void FillEightBits(Flat& values, uint64_t seed) {
  FillUniform(values, seed);
  for (float& v : values.span()) v = std::round(v * 128) / 128;
}

// All different, 0.05 apart, none within 0.025 of zero.
void FillGrid(Flat& values, uint64_t seed) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), -values.size() / 2);
  Random({seed}).Shuffle(order);
  for (int64_t i = 0; i < values.size(); ++i) {
    values[i] = (static_cast<float>(order[i]) + 0.5f) * 0.05f;
  }
}

// The largest |got - expected| / (1 + |expected|) over the first `count`
// elements of `values`.
double WorstError(LayerBench& bench, Flat& values, int64_t count,
                  const Flat& gradient, float difference) {
  double worst = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float kept = values[i];
    values[i] = kept + difference;
    const double above = bench.Loss();
    const double up = values[i];
    values[i] = kept - difference;
    const double expected = (above - bench.Loss()) / (up - values[i]);
    values[i] = kept;
    worst = std::max(
        worst, std::abs(gradient[i] - expected) / (1 + std::abs(expected)));
  }
  return worst;
}

}  // namespace

LayerBench::LayerBench(const LayerCase& test, bool is_reference) {
  std::vector<LayerCase::Input> inputs = {{test.in, test.block}};
  inputs.insert(inputs.end(), test.more.begin(), test.more.end());
  std::vector<Shape> shapes;
  int64_t floats = 0;
  for (const auto& input : inputs) {
    shapes.push_back(input.shape);
    floats += test.batch * input.shape.size();
  }
  const Shape out = *test.layer->OutputShape(shapes);
  int64_t parameters = 0;
  trainable = 0;
  for (const auto& p : test.layer->Parameters(shapes)) {
    place.offsets.push_back(parameters);
    parameters += std::accumulate(p.shape.begin(), p.shape.end(), int64_t{1},
                                  std::multiplies<>());
    if (p.kind != TensorKind::kStatistic) trainable = parameters;
  }
  x = Flat(floats);
  dx = Flat(floats);
  w = Flat(parameters);
  dw = Flat(parameters);
  y = Flat(test.batch * out.size());
  dy = Flat(y.size());
  if (!is_reference) place.device = TestDevice();
  place.batch = test.batch;
  const bool is_host = place.device.queue == nullptr;
  const auto type = [&](DataType there) {
    return is_host ? DataType::kFloat32 : there;
  };
  const DataType input_type = type(test.input_type);
  if (input_type == DataType::kBf16) place.precision = Precision::kBf16;
  if (!is_host) {
    MemoryResource& memory = *place.device.queue;
    there_ = {.x = Flat(x.size(), memory),
              .dx = Flat(dx.size(), memory),
              .w = Flat(w.size(), memory),
              .y = Flat(y.size(), memory),
              .dy = Flat(dy.size(), memory)};
  }
  auto* xs = reinterpret_cast<char*>(is_host ? x.data() : there_.x.data());
  auto* dxs = reinterpret_cast<char*>(is_host ? dx.data() : there_.dx.data());
  for (const auto& input : inputs) {
    const int64_t block = is_reference ? 1 : input.block;
    place.inputs.push_back({input.shape, block, xs, dxs, input_type});
    const int64_t bytes = test.batch * input.shape.size() * BytesOf(input_type);
    xs += bytes;
    dxs += bytes;
  }
  place.output = {out, 1, is_host ? y.data() : there_.y.data(),
                  is_host ? dy.data() : there_.dy.data(),
                  type(test.output_type)};
  auto built = test.layer->Build(place);
  INFO(built.status());
  REQUIRE(built.ok());
  op = *std::move(built);
}

double LayerBench::Loss() {
  if (place.device.queue == nullptr) {
    op->Forward({.x = w, .training = training, .draw = draw});
  } else {
    Send(x, place.inputs[0].type, there_.x);
    there_.w.CopyFrom(w);
    op->Forward({.x = there_.w, .training = training, .draw = draw});
    Fetch(there_.y, place.output.type, y);
    w.CopyFrom(there_.w);
    REQUIRE(place.device.queue->status().ok());
  }
  double loss = 0;
  for (int64_t i = 0; i < y.size(); ++i) loss += double{dy[i]} * y[i];
  return loss;
}

void LayerBench::Backward(const GradientSink& sink) {
  if (place.device.queue == nullptr) {
    op->Backward({.x = w, .training = training, .draw = draw}, sink);
    return;
  }
  there_.w.CopyFrom(w);
  Send(dx, place.inputs[0].type, there_.dx);
  Send(dy, place.output.type, there_.dy);
  Flat own(sink.into.size(), *place.device.queue);
  own.CopyFrom(sink.into);
  Flat& into = sink.into.data() == w.data() ? there_.w : own;
  op->Backward({.x = there_.w, .training = training, .draw = draw},
               {into, sink.scale, sink.beta, sink.listener});
  sink.into.CopyFrom(into);
  Fetch(there_.dx, place.inputs[0].type, dx);
  REQUIRE(place.device.queue->status().ok());
}

int64_t LayerBench::InputPlace(int64_t i) const {
  int64_t begin = 0;
  size_t input = 0;
  const auto size = [&] {
    return place.batch * place.inputs[input].shape.size();
  };
  for (; i >= begin + size(); ++input) begin += size();
  return begin + PlainPlace(place.inputs[input], i - begin);
}

int64_t LayerBench::OutputPlace(int64_t i) const {
  return PlainPlace(place.output, i);
}

double LayerBench::x_at(int64_t n, int64_t c, int64_t row,
                        int64_t column) const {
  size_t input = 0;
  int64_t begin = 0;
  for (; c >= place.inputs[input].shape.channels; ++input) {
    c -= place.inputs[input].shape.channels;
    begin += place.batch * place.inputs[input].shape.size();
  }
  const Value& value = place.inputs[input];
  return x[begin + Offset(value.shape, value.block, n, c, row, column)];
}

double LayerBench::y_at(int64_t n, int64_t c, int64_t row,
                        int64_t column) const {
  const Value& out = place.output;
  return y[Offset(out.shape, out.block, n, c, row, column)];
}

void FillUniform(Flat& values, uint64_t seed) {
  Random random({seed});
  for (float& v : values.span()) v = random.Uniform(-1, 1);
}

void Fill(LayerBench& bench) {
  if (bench.w.empty()) {
    FillGrid(bench.x, 1);
  } else {
    FillUniform(bench.x, 1);
  }
  FillUniform(bench.w, 2);
  FillUniform(bench.dy, 3);
}

void CheckValues(const LayerCase& test) {
  LayerBench bench(test);
  Fill(bench);
  const Flat before = bench.w.Clone();
  bench.Loss();
  const At x = [&](int64_t n, int64_t c, int64_t h, int64_t w) {
    return bench.x_at(n, c, h, w);
  };
  const Shape& out = bench.place.output.shape;
  double worst = 0;
  for (int64_t n = 0; n < test.batch; ++n) {
    for (int64_t i = 0; i < out.size(); ++i) {
      const int64_t space = out.height * out.width;
      const int64_t c = i / space;
      const int64_t h = i % space / out.width;
      const int64_t w = i % out.width;
      const double expected = test.reference(x, test.in, before, n, c, h, w);
      worst = std::max(worst, std::abs(bench.y_at(n, c, h, w) - expected));
    }
  }
  CHECK(worst < test.tolerance);
}

void CheckGradients(const LayerCase& test) {
  LayerBench bench(test);
  Fill(bench);
  // Gradients of activations overwrite, whatever was there.
  for (float& g : bench.dx.span()) g = 1e9f;
  bench.Loss();
  const Flat dy = bench.dy.Clone();
  bench.Backward({bench.dw});
  bench.dy.CopyFrom(dy);
  CHECK(WorstError(bench, bench.x, bench.x.size(), bench.dx, test.difference) <
        test.tolerance);
  CHECK(WorstError(bench, bench.w, bench.trainable, bench.dw, test.difference) <
        test.tolerance);
}

void CheckSink(const LayerCase& test) {
  LayerBench bench(test);
  Fill(bench);
  bench.Loss();
  bench.Backward({bench.dw});
  Flat into(bench.w.size());
  FillUniform(into, 4);
  const Flat before = into.Clone();
  bench.Backward({into, -0.25f, 0.5f});
  double worst = 0;
  for (int64_t i = 0; i < bench.trainable; ++i) {
    const double expected = 0.5 * before[i] - 0.25 * bench.dw[i];
    worst = std::max(worst, std::abs(into[i] - expected));
  }
  CHECK(worst < test.tolerance);
}

void CheckUnreadSink(const LayerCase& test) {
  LayerBench bench(test);
  Fill(bench);
  bench.Loss();
  for (float& g : bench.dw.span()) g = std::nanf("");
  bench.Backward({bench.dw});
  CHECK(AllFinite(bench.dw.Slice(0, bench.trainable).span()));
}

void CheckSinkInWeights(const LayerCase& test) {
  LayerBench bench(test);
  Fill(bench);
  bench.Loss();
  bench.Backward({bench.dw});
  const Flat dx = bench.dx.Clone();
  Flat expected = bench.w.Clone();
  ForEach([](float& x, float g) { x -= 0.5f * g; }, expected, bench.dw);
  bench.Backward({bench.w, -0.5f, 1});
  double worst = 0;
  for (int64_t i = 0; i < dx.size(); ++i) {
    worst = std::max(worst, double{std::abs(dx[i] - bench.dx[i])});
  }
  CHECK(worst == 0);
  for (int64_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, double{std::abs(expected[i] - bench.w[i])});
  }
  CHECK(worst < test.tolerance);
}

void CheckLayer(const LayerCase& test) {
  INFO(test.name);
  CheckValues(test);
  CheckGradients(test);
  CheckSink(test);
  CheckUnreadSink(test);
  CheckSinkInWeights(test);
}

void CheckBf16Layer(const LayerCase& test, const Bf16Errors& errors) {
  INFO(test.name << ", bf16");
  LayerBench there(test), here(test, /*is_reference=*/true);
  const int64_t inputs = there.x.size(), outputs = there.y.size();
  FillEightBits(there.x, 1);
  FillEightBits(there.w, 2);
  FillEightBits(there.dy, 3);
  here.w.CopyFrom(there.w);
  for (int64_t i = 0; i < inputs; ++i) {
    here.x[here.InputPlace(i)] = there.x[there.InputPlace(i)];
  }
  for (int64_t i = 0; i < outputs; ++i) {
    here.dy[here.OutputPlace(i)] = there.dy[there.OutputPlace(i)];
  }
  for (float& g : there.dx.span()) g = 1e9f;
  for (LayerBench* bench : {&there, &here}) {
    bench->Loss();
    bench->Backward({bench->dw});
  }
  CHECK(WorstRounding(
            outputs, errors.y,
            [&](int64_t i) { return there.y[there.OutputPlace(i)]; },
            [&](int64_t i) { return here.y[here.OutputPlace(i)]; }) <= 1);
  CHECK(WorstRounding(
            inputs, errors.dx,
            [&](int64_t i) { return there.dx[there.InputPlace(i)]; },
            [&](int64_t i) { return here.dx[here.InputPlace(i)]; }) <= 1);
  CHECK(WorstRounding(
            there.trainable, errors.dw, [&](int64_t i) { return there.dw[i]; },
            [&](int64_t i) { return here.dw[i]; }) <= 1);
  // Statistics among them.
  CHECK(WorstRounding(
            there.w.size(), {.times = 0}, [&](int64_t i) { return there.w[i]; },
            [&](int64_t i) { return here.w[i]; }) <= 1);
  CheckSink(test);
  CheckUnreadSink(test);
  CheckSinkInWeights(test);
}

}  // namespace monsoon
