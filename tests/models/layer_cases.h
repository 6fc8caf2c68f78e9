// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/layers/layers.h"
#include "tests/models/layer_bench.h"

// Layers with what they should compute, for the tests of every device;
// convolutions are in conv_cases.h.
namespace monsoon {

inline LayerCase ReluCase(std::string name, int64_t batch, Shape in,
                          int64_t block) {
  return {std::move(name),
          Relu(),
          batch,
          in,
          block,
          0.01f,
          [](const At& x, const Shape&, const Flat&, int64_t n, int64_t c,
             int64_t h, int64_t w) { return std::max(0.0, x(n, c, h, w)); }};
}

inline LayerCase PoolCase(std::string name, int64_t batch, Shape in,
                          int64_t block, int64_t size) {
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

inline LayerCase FlattenCase(std::string name, int64_t batch, Shape in,
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

// Of activation, pooling and flattening.
inline std::vector<LayerCase> PlainCases() {
  std::vector<LayerCase> cases;
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

inline LayerCase DenseCase(std::string name, int64_t batch, Shape in,
                           int64_t units) {
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

inline std::vector<LayerCase> DenseCases() {
  std::vector<LayerCase> cases;
  cases.push_back(DenseCase("dense 1x1", 1, {1, 1, 1}, 1));
  cases.push_back(DenseCase("dense of odd sizes", 3, {7, 1, 1}, 5));
  cases.push_back(DenseCase("dense over an image", 2, {3, 4, 5}, 9));
  cases.push_back(DenseCase("dense, wide", 17, {33, 1, 1}, 18));
  return cases;
}

inline LayerCase AddCase(std::string name, int64_t batch, Shape shape,
                         int64_t block, int64_t b_block) {
  LayerCase test{std::move(name),
                 Add(),
                 batch,
                 shape,
                 block,
                 0.5f,
                 [](const At& x, const Shape& s, const Flat&, int64_t n,
                    int64_t c, int64_t h, int64_t w) {
                   return x(n, c, h, w) + x(n, s.channels + c, h, w);
                 }};
  test.more = {{shape, b_block}};
  return test;
}

inline std::vector<LayerCase> AddCases() {
  std::vector<LayerCase> cases;
  cases.push_back(AddCase("single numbers", 1, {1, 1, 1}, 1, 1));
  cases.push_back(AddCase("plain", 3, {7, 3, 17}, 1, 1));
  cases.push_back(AddCase("blocks", 2, {16, 3, 7}, 8, 8));
  cases.push_back(AddCase("blocks and plain", 2, {16, 3, 7}, 8, 1));
  cases.push_back(AddCase("plain and blocks", 1, {32, 1, 31}, 1, 16));
  return cases;
}

inline LayerCase ConcatCase(std::string name, int64_t batch,
                            std::vector<LayerCase::Input> inputs) {
  LayerCase test{std::move(name),
                 Concat(),
                 batch,
                 inputs[0].shape,
                 inputs[0].block,
                 0.5f,
                 [](const At& x, const Shape&, const Flat&, int64_t n,
                    int64_t c, int64_t h, int64_t w) { return x(n, c, h, w); }};
  test.more.assign(inputs.begin() + 1, inputs.end());
  return test;
}

inline std::vector<LayerCase> ConcatCases() {
  std::vector<LayerCase> cases;
  cases.push_back(ConcatCase("one input", 2, {{{3, 2, 3}, 1}}));
  cases.push_back(ConcatCase("plain", 3, {{{1, 3, 7}, 1}, {{3, 3, 7}, 1}}));
  cases.push_back(ConcatCase("blocks", 2, {{{16, 3, 2}, 8}, {{8, 3, 2}, 8}}));
  cases.push_back(ConcatCase(
      "mixed", 2, {{{8, 1, 7}, 8}, {{3, 1, 7}, 1}, {{16, 1, 7}, 16}}));
  return cases;
}

inline LayerCase AverageCase(std::string name, int64_t batch, Shape in,
                             int64_t block, int64_t size) {
  return {std::move(name),
          size == 0 ? GlobalAveragePool() : AveragePool(size),
          batch,
          in,
          block,
          0.5f,
          [size](const At& x, const Shape& s, const Flat&, int64_t n, int64_t c,
                 int64_t h, int64_t w) {
            const int64_t rows = size == 0 ? s.height : size;
            const int64_t columns = size == 0 ? s.width : size;
            double sum = 0;
            for (int64_t i = 0; i < rows * columns; ++i) {
              sum += x(n, c, h * rows + i / columns, w * columns + i % columns);
            }
            return sum / double(rows * columns);
          }};
}

inline std::vector<LayerCase> AverageCases() {
  std::vector<LayerCase> cases;
  cases.push_back(AverageCase("of 1", 1, {1, 1, 1}, 1, 1));
  cases.push_back(AverageCase("of 2", 3, {3, 4, 6}, 1, 2));
  cases.push_back(AverageCase("of 3 that drops edges", 2, {2, 7, 17}, 1, 3));
  cases.push_back(AverageCase("of blocks", 2, {16, 4, 7}, 8, 2));
  cases.push_back(AverageCase("of large blocks", 1, {16, 3, 3}, 16, 2));
  cases.push_back(AverageCase("of everything", 3, {7, 3, 31}, 1, 0));
  cases.push_back(AverageCase("of everything in blocks", 2, {24, 7, 5}, 8, 0));
  return cases;
}

inline LayerCase UpsampleCase(std::string name, int64_t batch, Shape in,
                              int64_t block, UpsampleOptions k) {
  return {std::move(name),
          Upsample(k),
          batch,
          in,
          block,
          0.5f,
          [k](const At& x, const Shape& s, const Flat&, int64_t n, int64_t c,
              int64_t h, int64_t w) {
            if (!k.bilinear) return x(n, c, h / k.scale, w / k.scale);
            const double row =
                std::max(0.0, (double(h) + 0.5) / double(k.scale) - 0.5);
            const double column =
                std::max(0.0, (double(w) + 0.5) / double(k.scale) - 0.5);
            double sum = 0;
            for (int64_t i = 0; i < s.height; ++i) {
              for (int64_t j = 0; j < s.width; ++j) {
                // Beyond the last pixel there is nothing to blend with.
                const double down =
                    std::min(row, double(s.height - 1)) - double(i);
                const double right =
                    std::min(column, double(s.width - 1)) - double(j);
                sum += std::max(0.0, 1 - std::abs(down)) *
                       std::max(0.0, 1 - std::abs(right)) * x(n, c, i, j);
              }
            }
            return sum;
          }};
}

inline std::vector<LayerCase> UpsampleCases() {
  std::vector<LayerCase> cases;
  cases.push_back(
      UpsampleCase("nearest of one pixel", 1, {1, 1, 1}, 1, {3, false}));
  cases.push_back(UpsampleCase("nearest", 3, {3, 3, 7}, 1, {2, false}));
  cases.push_back(
      UpsampleCase("nearest in blocks", 2, {8, 3, 2}, 8, {3, false}));
  cases.push_back(
      UpsampleCase("bilinear of one pixel", 1, {1, 1, 1}, 1, {2, true}));
  cases.push_back(UpsampleCase("bilinear", 3, {3, 3, 7}, 1, {2, true}));
  cases.push_back(UpsampleCase("bilinear by 3", 2, {1, 7, 1}, 1, {3, true}));
  cases.push_back(
      UpsampleCase("bilinear in blocks", 2, {16, 2, 3}, 16, {2, true}));
  return cases;
}

inline LayerCase SoftmaxCase(std::string name, int64_t batch, Shape in,
                             int64_t block) {
  return {std::move(name), Softmax(), batch, in, block,
          // The grid's logits differ by 0.05 and more; truncation is about
          // difference^2 / 6.
          0.01f,
          [](const At& x, const Shape& s, const Flat&, int64_t n, int64_t c,
             int64_t h, int64_t w) {
            double sum = 0;
            for (int64_t k = 0; k < s.channels; ++k) {
              sum += std::exp(x(n, k, h, w) - x(n, c, h, w));
            }
            return 1 / sum;
          }};
}

inline std::vector<LayerCase> SoftmaxCases() {
  std::vector<LayerCase> cases;
  cases.push_back(SoftmaxCase("of one", 1, {1, 1, 3}, 1));
  cases.push_back(SoftmaxCase("of a vector", 3, {7, 1, 1}, 1));
  cases.push_back(SoftmaxCase("of pixels", 2, {3, 3, 7}, 1));
  cases.push_back(SoftmaxCase("of blocks", 2, {16, 3, 1}, 8));
  return cases;
}

struct Moments {
  double mean = 0, variance = 0;
};

// Of a channel of a batch, in double and two passes.
inline Moments Measure(const At& x, int64_t batch, const Shape& s, int64_t c) {
  Moments m;
  const auto count = double(batch * s.height * s.width);
  for (const bool second : {false, true}) {
    double sum = 0;
    for (int64_t i = 0; i < batch * s.height * s.width; ++i) {
      const double v =
          x(i / (s.height * s.width), c, i / s.width % s.height, i % s.width);
      sum += second ? (v - m.mean) * (v - m.mean) : v;
    }
    (second ? m.variance : m.mean) = sum / count;
  }
  return m;
}

inline LayerCase BatchNormCase(std::string name, int64_t batch, Shape in,
                               int64_t block) {
  LayerCase test{
      std::move(name), BatchNorm(), batch, in, block,
      // Truncation is difference^2 / 6 times third derivatives of order 1,
      // rounding of y about 1e-7 sqrt(outputs) / difference.
      0.02f,
      [batch](const At& x, const Shape& s, const Flat& p, int64_t n, int64_t c,
              int64_t h, int64_t w) {
        const Moments m = Measure(x, batch, s, c);
        return p[c] * (x(n, c, h, w) - m.mean) / std::sqrt(m.variance + 1e-5) +
               p[s.channels + c];
      }};
  test.tolerance = 1e-3;
  return test;
}

inline std::vector<LayerCase> BatchNormCases() {
  std::vector<LayerCase> cases;
  cases.push_back(BatchNormCase("of vectors", 7, {3, 1, 1}, 1));
  cases.push_back(BatchNormCase("of one image", 1, {3, 3, 7}, 1));
  cases.push_back(BatchNormCase("of odd images", 3, {1, 7, 17}, 1));
  cases.push_back(BatchNormCase("of many lanes", 2, {2, 3, 31}, 1));
  cases.push_back(BatchNormCase("of blocks", 3, {16, 3, 3}, 8));
  cases.push_back(BatchNormCase("of large blocks", 2, {32, 1, 7}, 16));
  cases.push_back(BatchNormCase("of vectors in blocks", 5, {8, 1, 1}, 8));
  return cases;
}

inline LayerCase DropoutCase(double rate, int64_t batch, Shape in) {
  return {"dropout", Dropout(rate), batch, in, 1, 0.01f, nullptr};
}

}  // namespace monsoon
