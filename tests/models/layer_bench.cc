// SPDX-License-Identifier: Apache-2.0
#include "tests/models/layer_bench.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

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

LayerBench::LayerBench(const LayerCase& test) {
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
  place.device = TestDevice();
  place.batch = test.batch;
  const bool is_host = place.device.queue == nullptr;
  if (!is_host) {
    MemoryResource& memory = *place.device.queue;
    there_ = {.x = Flat(x.size(), memory),
              .dx = Flat(dx.size(), memory),
              .w = Flat(w.size(), memory),
              .y = Flat(y.size(), memory),
              .dy = Flat(dy.size(), memory)};
  }
  Flat& xs = is_host ? x : there_.x;
  Flat& dxs = is_host ? dx : there_.dx;
  int64_t at = 0;
  for (const auto& input : inputs) {
    place.inputs.push_back(
        {input.shape, input.block, xs.data() + at, dxs.data() + at});
    at += test.batch * input.shape.size();
  }
  place.output = {out, 1, is_host ? y.data() : there_.y.data(),
                  is_host ? dy.data() : there_.dy.data()};
  auto built = test.layer->Build(place);
  INFO(built.status());
  REQUIRE(built.ok());
  op = *std::move(built);
}

double LayerBench::Loss() {
  if (place.device.queue == nullptr) {
    op->Forward({.x = w, .training = training, .draw = draw});
  } else {
    there_.x.CopyFrom(x);
    there_.w.CopyFrom(w);
    op->Forward({.x = there_.w, .training = training, .draw = draw});
    y.CopyFrom(there_.y);
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
  there_.dx.CopyFrom(dx);
  there_.dy.CopyFrom(dy);
  Flat own(sink.into.size(), *place.device.queue);
  own.CopyFrom(sink.into);
  Flat& into = sink.into.data() == w.data() ? there_.w : own;
  op->Backward({.x = there_.w, .training = training, .draw = draw},
               {into, sink.scale, sink.beta, sink.listener});
  sink.into.CopyFrom(into);
  dx.CopyFrom(there_.dx);
  REQUIRE(place.device.queue->status().ok());
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

}  // namespace monsoon
