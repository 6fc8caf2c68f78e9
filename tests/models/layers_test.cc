// SPDX-License-Identifier: Apache-2.0
// The layers of mlp and cnn against plain loops and central differences.
#include "models/layers/layers.h"

#include <catch2/catch.hpp>
#include <string>

#include "tests/models/layer_bench.h"

namespace monsoon {
namespace {

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

TEST_CASE("A layer computes what plain loops compute", "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    CheckValues(test);
  }
}

TEST_CASE("A layer's gradients are its central differences", "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    CheckGradients(test);
  }
}

TEST_CASE("A sink receives beta * into + scale * gradient", "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    CheckSink(test);
  }
}

TEST_CASE("A sink with beta 0 is not read", "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    CheckUnreadSink(test);
  }
}

TEST_CASE("The input gradient uses the weights from before the sink",
          "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    CheckSinkInWeights(test);
  }
}

TEST_CASE("A tie in a pool goes to the first in row order", "[models]") {
  LayerCase test = PoolCase("ties", 1, {1, 2, 2}, 1, 2);
  LayerBench bench(test);
  bench.dy[0] = 3;
  bench.Loss();
  bench.Backward({bench.dw});
  CHECK(bench.dx[0] == 3);
  CHECK(bench.dx[1] == 0);
  CHECK(bench.dx[2] == 0);
  CHECK(bench.dx[3] == 0);
}

}  // namespace
}  // namespace monsoon
