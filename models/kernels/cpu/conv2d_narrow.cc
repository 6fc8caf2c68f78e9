// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/cpu/conv2d_narrow.h"

#include <cstring>

namespace monsoon {
namespace {

constexpr int kBlock = 8;
constexpr int kWindow = 3;
// One number for each output channel of a block.
using Lanes = float __attribute__((vector_size(kBlock * sizeof(float))));

// Sums for one input channel and one block of output channels.
struct Sums {
  Lanes weight[kWindow * kWindow] = {};
  Lanes bias = {};

  void Add(const Sums& other) {
    for (int k = 0; k < kWindow * kWindow; ++k) weight[k] += other.weight[k];
    bias += other.bias;
  }
  // Adds a row of dY [columns, kBlock]; x is the window at its first column.
  void AddRow(const float* dy, int64_t columns, const float* x, int64_t width,
              int64_t stride) {
    Sums sums = *this;  // in registers
    for (int64_t column = 0; column < columns; ++column) {
      Lanes g;
      std::memcpy(&g, dy + column * kBlock, sizeof(g));
      const float* window = x + column * stride;
      for (int k = 0; k < kWindow * kWindow; ++k) {
        sums.weight[k] += g * window[k / kWindow * width + k % kWindow];
      }
      sums.bias += g;
    }
    *this = sums;
  }
};

}  // namespace

bool NarrowWeightGradient::Fits(const Conv2dKernel::Spec& spec,
                                int64_t output_block) {
  return spec.in.channels <= 2 && spec.block == 1 && output_block == kBlock &&
         spec.kernel == kWindow && spec.padding == 0;
}

void NarrowWeightGradient::Run(const float* x, const float* dy, float* dw,
                               float* db) const {
  const int64_t blocks = s_.out.channels / kBlock;
#pragma omp parallel for collapse(2)
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t channel = 0; channel < s_.in.channels; ++channel) {
      RunBlock(x, dy, block, channel, dw, db);
    }
  }
}

void NarrowWeightGradient::RunBlock(const float* x, const float* dy,
                                    int64_t block, int64_t channel, float* dw,
                                    float* db) const {
  // Summing images first keeps the rounding error of long sums down.
  Sums total;
  for (int64_t n = 0; n < s_.batch; ++n) {
    const float* plane =
        x + (n * s_.in.channels + channel) * s_.in.height * s_.in.width;
    const float* gradient = dy + (n * s_.out.channels + block * kBlock) *
                                     s_.out.height * s_.out.width;
    Sums image;
    for (int64_t row = 0; row < s_.out.height; ++row) {
      image.AddRow(gradient + row * s_.out.width * kBlock, s_.out.width,
                   plane + row * s_.stride * s_.in.width, s_.in.width,
                   s_.stride);
    }
    total.Add(image);
  }
  for (int lane = 0; lane < kBlock; ++lane) {
    const int64_t output = block * kBlock + lane;
    float* weights =
        dw + (output * s_.in.channels + channel) * kWindow * kWindow;
    for (int k = 0; k < kWindow * kWindow; ++k) {
      weights[k] = total.weight[k][lane];
    }
    if (channel == 0) db[output] = total.bias[lane];
  }
}

}  // namespace monsoon
