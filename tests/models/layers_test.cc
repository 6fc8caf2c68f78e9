// SPDX-License-Identifier: Apache-2.0
// The layers of mlp and cnn against plain loops and central differences.
#include "models/layers/layers.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>

#include "tests/models/conv_cases.h"
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
  for (LayerCase& test : ConvCases()) cases.push_back(std::move(test));
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
