// SPDX-License-Identifier: Apache-2.0
// Every layer against plain loops (values) and central differences (gradients).
//
// The loss is sum_i r_i y_i with fixed random r, summed in double. Dense and
// convolution are linear in input and parameters, the others are piecewise
// linear with inputs on a grid whose steps the difference does not cross: so
// central differences are exact but for float32 rounding of y, about
// 1e-7 |y| sqrt(outputs) / difference, at most 1e-5 here. Hence 1e-4.
#include "models/layers/layers.h"

#include <catch2/catch.hpp>
#include <functional>
#include <numeric>
#include <string>

#include "base/random.h"

namespace monsoon {
namespace {

constexpr double kTolerance = 1e-4;

// y(n, c, h, w) of a layer from x(n, c, h, w) and its parameters.
using At = std::function<double(int64_t n, int64_t c, int64_t h, int64_t w)>;
using Reference =
    std::function<double(const At& x, const Shape& in, const Flat& parameters,
                         int64_t n, int64_t c, int64_t h, int64_t w)>;

struct LayerCase {
  std::string name;
  std::unique_ptr<Layer> layer;
  int64_t batch;
  Shape in;
  int64_t block;  // of the input
  float difference;
  Reference reference;
};

// Where (n, c, h, w) lies in memory; see Value.
int64_t Offset(const Shape& s, int64_t block, int64_t n, int64_t c, int64_t h,
               int64_t w) {
  return (((n * (s.channels / block) + c / block) * s.height + h) * s.width +
          w) *
             block +
         c % block;
}

// A built layer with memory of its own.
struct Bench {
  explicit Bench(const LayerCase& test) {
    const Shape out = *test.layer->OutputShape({test.in});
    int64_t parameters = 0;
    for (const auto& p : test.layer->Parameters({test.in})) {
      place.offsets.push_back(parameters);
      parameters += std::accumulate(p.shape.begin(), p.shape.end(), int64_t{1},
                                    std::multiplies<>());
    }
    x = Flat(test.batch * test.in.size());
    dx = Flat(x.size());
    w = Flat(parameters);
    dw = Flat(parameters);
    y = Flat(test.batch * out.size());
    dy = Flat(y.size());
    place.device = "cpu";
    place.batch = test.batch;
    place.inputs = {{test.in, test.block, x.data(), dx.data()}};
    place.output = {out, 1, y.data(), dy.data()};
    auto built = test.layer->Build(place);
    REQUIRE(built.ok());
    op = *std::move(built);
  }

  double Loss() {
    op->Forward({.x = w, .training = true});
    double loss = 0;
    for (int64_t i = 0; i < y.size(); ++i) loss += double{dy[i]} * y[i];
    return loss;
  }

  void Backward(const GradientSink& sink) {
    op->Backward({.x = w, .training = true}, sink);
  }

  Flat x, dx, w, dw, y, dy;
  Placement place;
  std::unique_ptr<Operator> op;
};

void FillUniform(Flat& values, uint64_t seed) {
  Random random({seed});
  for (float& v : values.span()) v = random.Uniform(-1, 1);
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

// The largest |got - expected| / (1 + |expected|) over all elements of
// `values`.
double WorstError(Bench& bench, Flat& values, const Flat& gradient,
                  float difference) {
  double worst = 0;
  for (int64_t i = 0; i < values.size(); ++i) {
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

LayerCase DenseCase(std::string name, int64_t batch, Shape in, int64_t units) {
  return {std::move(name),
          Dense({.units = units}),
          batch,
          in,
          1,
          0.5f,
          [units](const At& x, const Shape& s, const Flat& p, int64_t n,
                  int64_t o, int64_t, int64_t) {
            double sum = p[units * s.size() + o];
            int64_t i = o * s.size();
            for (int64_t c = 0; c < s.channels; ++c) {
              for (int64_t h = 0; h < s.height; ++h) {
                for (int64_t w = 0; w < s.width; ++w) {
                  sum += p[i++] * x(n, c, h, w);
                }
              }
            }
            return sum;
          }};
}

LayerCase ConvCase(std::string name, int64_t batch, Shape in, int64_t block,
                   Conv2dOptions k) {
  return {
      std::move(name),
      Conv2d(k),
      batch,
      in,
      block,
      0.5f,
      [k](const At& x, const Shape& s, const Flat& p, int64_t n, int64_t o,
          int64_t h, int64_t w) {
        const int64_t window = k.kernel * k.kernel;
        double sum = p[k.channels * s.channels * window + o];
        for (int64_t i = 0; i < s.channels * window; ++i) {
          const int64_t row = h * k.stride - k.padding + i % window / k.kernel;
          const int64_t column = w * k.stride - k.padding + i % k.kernel;
          if (row < 0 || row >= s.height || column < 0 || column >= s.width)
            continue;
          sum += p[o * s.channels * window + i] * x(n, i / window, row, column);
        }
        return sum;
      }};
}

LayerCase PoolCase(std::string name, int64_t batch, Shape in, int64_t block,
                   int64_t size) {
  return {std::move(name),
          MaxPool(size),
          batch,
          in,
          block,
          0.01f,
          [size](const At& x, const Shape&, const Flat&, int64_t n, int64_t c,
                 int64_t h, int64_t w) {
            double most = x(n, c, h * size, w * size);
            for (int64_t k = 0; k < size * size; ++k) {
              most = std::max(
                  most, x(n, c, h * size + k / size, w * size + k % size));
            }
            return most;
          }};
}

LayerCase ReluCase(std::string name, int64_t batch, Shape in, int64_t block) {
  return {std::move(name),
          Relu(),
          batch,
          in,
          block,
          0.01f,
          [](const At& x, const Shape&, const Flat&, int64_t n, int64_t c,
             int64_t h, int64_t w) { return std::max(0.0, x(n, c, h, w)); }};
}

LayerCase FlattenCase(std::string name, int64_t batch, Shape in,
                      int64_t block) {
  return {std::move(name),
          Flatten(),
          batch,
          in,
          block,
          0.01f,
          [](const At& x, const Shape& s, const Flat&, int64_t n, int64_t c,
             int64_t, int64_t) {
            const int64_t space = s.height * s.width;
            return x(n, c / space, c % space / s.width, c % s.width);
          }};
}

std::vector<LayerCase> Cases() {
  std::vector<LayerCase> cases;
  cases.push_back(DenseCase("dense 1x1", 1, {1, 1, 1}, 1));
  cases.push_back(DenseCase("dense of odd sizes", 3, {7, 1, 1}, 5));
  cases.push_back(DenseCase("dense over an image", 2, {3, 4, 5}, 9));
  cases.push_back(DenseCase("dense, wide", 17, {33, 1, 1}, 18));
  cases.push_back(
      ConvCase("conv 1 to 4 channels", 2, {1, 7, 5}, 1, {.channels = 4}));
  cases.push_back(
      ConvCase("conv 1 to 8 channels", 3, {1, 9, 6}, 1, {.channels = 8}));
  cases.push_back(ConvCase("conv 2 to 16 channels, stride 2", 2, {2, 8, 7}, 1,
                           {.channels = 16, .stride = 2}));
  cases.push_back(ConvCase("conv 1 to 16 channels, padded", 2, {1, 6, 7}, 1,
                           {.channels = 16, .padding = 1}));
  cases.push_back(ConvCase("conv of odd channels, padded", 1, {3, 5, 5}, 1,
                           {.channels = 5, .padding = 1}));
  cases.push_back(
      ConvCase("conv of 8 in blocks", 3, {8, 6, 5}, 8, {.channels = 8}));
  cases.push_back(
      ConvCase("conv of 8 in plain order", 2, {8, 5, 5}, 1, {.channels = 8}));
  cases.push_back(ConvCase("conv of 16 in blocks to odd, padded", 2, {16, 5, 4},
                           8, {.channels = 5, .padding = 1}));
  cases.push_back(
      ConvCase("conv 1x1", 2, {3, 4, 3}, 1, {.channels = 8, .kernel = 1}));
  cases.push_back(
      ConvCase("conv 5x5, stride 2, padded", 2, {2, 9, 8}, 1,
               {.channels = 8, .kernel = 5, .stride = 2, .padding = 2}));
  cases.push_back(
      ConvCase("conv over the whole image", 2, {4, 3, 3}, 1, {.channels = 6}));
  cases.push_back(ReluCase("relu", 3, {5, 3, 7}, 1));
  cases.push_back(ReluCase("relu in blocks", 2, {16, 3, 2}, 8));
  cases.push_back(PoolCase("pool", 2, {3, 4, 6}, 1, 2));
  cases.push_back(PoolCase("pool that drops edges", 2, {2, 5, 7}, 1, 2));
  cases.push_back(PoolCase("pool in blocks", 2, {16, 4, 4}, 8, 2));
  cases.push_back(PoolCase("pool of 3, blocks, edges", 1, {8, 7, 8}, 8, 3));
  cases.push_back(FlattenCase("flatten", 2, {3, 2, 4}, 1));
  cases.push_back(FlattenCase("flatten of blocks", 2, {16, 3, 2}, 8));
  return cases;
}

void Fill(Bench& bench) {
  if (bench.w.empty()) {
    FillGrid(bench.x, 1);
  } else {
    FillUniform(bench.x, 1);
  }
  FillUniform(bench.w, 2);
  FillUniform(bench.dy, 3);
}

TEST_CASE("A layer computes what plain loops compute", "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    Bench bench(test);
    Fill(bench);
    bench.Loss();
    const At x = [&](int64_t n, int64_t c, int64_t h, int64_t w) {
      return bench.x[Offset(test.in, test.block, n, c, h, w)];
    };
    const Value& out = bench.place.output;
    double worst = 0;
    for (int64_t n = 0; n < test.batch; ++n) {
      for (int64_t i = 0; i < out.shape.size(); ++i) {
        const int64_t space = out.shape.height * out.shape.width;
        const int64_t c = i / space;
        const int64_t h = i % space / out.shape.width;
        const int64_t w = i % out.shape.width;
        const double expected = test.reference(x, test.in, bench.w, n, c, h, w);
        const double got = bench.y[Offset(out.shape, out.block, n, c, h, w)];
        worst = std::max(worst, std::abs(got - expected));
      }
    }
    CHECK(worst < kTolerance);
  }
}

TEST_CASE("A layer's gradients are its central differences", "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    Bench bench(test);
    Fill(bench);
    // Gradients of activations overwrite, whatever was there.
    for (float& g : bench.dx.span()) g = 1e9f;
    bench.Loss();
    const Flat dy = bench.dy.Clone();
    bench.Backward({bench.dw});
    bench.dy.CopyFrom(dy);
    CHECK(WorstError(bench, bench.x, bench.dx, test.difference) < kTolerance);
    CHECK(WorstError(bench, bench.w, bench.dw, test.difference) < kTolerance);
  }
}

TEST_CASE("A sink receives beta * into + scale * gradient", "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    Bench bench(test);
    Fill(bench);
    bench.Loss();
    bench.Backward({bench.dw});
    Flat into(bench.w.size());
    FillUniform(into, 4);
    const Flat before = into.Clone();
    bench.Backward({into, -0.25f, 0.5f});
    double worst = 0;
    for (int64_t i = 0; i < into.size(); ++i) {
      const double expected = 0.5 * before[i] - 0.25 * bench.dw[i];
      worst = std::max(worst, std::abs(into[i] - expected));
    }
    CHECK(worst < kTolerance);
  }
}

TEST_CASE("A sink with beta 0 is not read", "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    Bench bench(test);
    Fill(bench);
    bench.Loss();
    for (float& g : bench.dw.span()) g = std::nanf("");
    bench.Backward({bench.dw});
    CHECK(AllFinite(bench.dw.span()));
  }
}

TEST_CASE("The input gradient uses the weights from before the sink",
          "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    Bench bench(test);
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
    CHECK(worst < kTolerance);
  }
}

TEST_CASE("A tie in a pool goes to the first in row order", "[models]") {
  LayerCase test = PoolCase("ties", 1, {1, 2, 2}, 1, 2);
  Bench bench(test);
  bench.dy[0] = 3;
  bench.Loss();
  bench.Backward({bench.dw});
  CHECK(bench.dx[0] == 3);
  CHECK(bench.dx[1] == 0);
  CHECK(bench.dx[2] == 0);
  CHECK(bench.dx[3] == 0);
}

TEST_CASE("A device without a kernel is unimplemented", "[models]") {
  Placement place{.device = "abacus", .inputs = {{.shape = {1, 1, 4}}}};
  place.output.shape = {1, 1, 4};
  const auto built = Relu()->Build(place);
  REQUIRE(built.status().code() == absl::StatusCode::kUnimplemented);
  CHECK(built.status().message() ==
        "no kernel relu for device \"abacus\"; it exists for: cpu");
}

}  // namespace
}  // namespace monsoon
