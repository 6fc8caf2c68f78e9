// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "models/layers/layers.h"
#include "tests/models/layer_bench.h"

// Convolutions that every device's tests put on the bench.
namespace monsoon {

// With a bias, without groups, pooling and ReLU.
inline LayerCase ConvCase(std::string name, int64_t batch, Shape in,
                          int64_t block, Conv2dOptions k) {
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

inline std::vector<LayerCase> ConvCases() {
  std::vector<LayerCase> cases;
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
  return cases;
}

inline LayerCase TransposeCase(std::string name, int64_t batch, Shape in,
                               int64_t block, ConvTranspose2dOptions k) {
  return {std::move(name),
          ConvTranspose2d(k),
          batch,
          in,
          block,
          0.5f,
          [k](const At& x, const Shape& s, const Flat& p, int64_t n, int64_t o,
              int64_t h, int64_t w) {
            const int64_t window = k.kernel * k.kernel;
            double sum = p[s.channels * k.channels * window + o];
            for (int64_t row = 0; row < s.height; ++row) {
              for (int64_t column = 0; column < s.width; ++column) {
                const int64_t i = h + k.padding - row * k.stride;
                const int64_t j = w + k.padding - column * k.stride;
                if (i < 0 || i >= k.kernel || j < 0 || j >= k.kernel) continue;
                for (int64_t c = 0; c < s.channels; ++c) {
                  sum += p[(c * k.channels + o) * window + i * k.kernel + j] *
                         x(n, c, row, column);
                }
              }
            }
            return sum;
          }};
}

inline std::vector<LayerCase> TransposeCases() {
  std::vector<LayerCase> cases;
  cases.push_back(
      TransposeCase("1x1", 1, {1, 1, 1}, 1, {.kernel = 1, .stride = 1}));
  cases.push_back(
      TransposeCase("2x2, stride 2", 3, {3, 3, 7}, 1, {.channels = 5}));
  cases.push_back(
      TransposeCase("of blocks", 2, {16, 3, 4}, 8, {.channels = 8}));
  cases.push_back(TransposeCase("of large blocks to odd", 1, {16, 3, 2}, 16,
                                {.channels = 7}));
  cases.push_back(TransposeCase(
      "3x3, stride 2, as a convolution's inverse", 2, {8, 3, 3}, 8,
      {.channels = 8, .kernel = 3, .padding = 1, .output_padding = 1}));
  cases.push_back(TransposeCase("3x3 that overlaps", 2, {2, 4, 3}, 1,
                                {.channels = 3, .kernel = 3, .stride = 1}));
  cases.push_back(TransposeCase("4x4, stride 3, padded", 1, {3, 3, 2}, 1,
                                {.channels = 2,
                                 .kernel = 4,
                                 .stride = 3,
                                 .padding = 1,
                                 .output_padding = 2}));
  return cases;
}

}  // namespace monsoon
