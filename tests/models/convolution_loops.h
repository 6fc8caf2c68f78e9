// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "models/kernels/conv2d.h"
#include "tests/models/numbers.h"

namespace monsoon {

// Where a number of [N, C / block, H, W, block] lies.
inline int64_t PlaceOf(const Shape& s, int64_t block, int64_t n, int64_t c,
                       int64_t row, int64_t column) {
  const int64_t plane =
      (n * s.channels + c / block * block) * s.height * s.width;
  return plane + (row * s.width + column) * block + c % block;
}

// A convolution's operands, and what plain loops in double precision make of
// them. Where the precision is less than float32 the operands are numbers that
// it has exactly: their products and sums are exact in float32 then.
struct Convolution {
  explicit Convolution(const Conv2dKernel::Spec& spec)
      : s(spec),
        x(Draw(s.batch * s.in.size(), 1, OperandPrecision(s))),
        w(Draw(s.out.channels * s.in.channels / s.groups * s.kernel * s.kernel,
               2, OperandPrecision(s))),
        b(Draw(s.out.channels, 3)),
        dy(Draw(s.batch * s.pooled().size(), 4, OperandPrecision(s))) {}

  // Y and dY are in blocks of `block`.
  void Expect(int64_t block) {
    y.assign(static_cast<size_t>(dy.size()), 0);
    dx.assign(static_cast<size_t>(x.size()), 0);
    dw.assign(static_cast<size_t>(w.size()), 0);
    db.assign(static_cast<size_t>(b.size()), 0);
    const Shape pooled = s.pooled();
    for (int64_t n = 0; n < s.batch; ++n) {
      for (int64_t o = 0; o < pooled.channels; ++o) {
        for (int64_t row = 0; row < pooled.height; ++row) {
          for (int64_t column = 0; column < pooled.width; ++column) {
            Window(PlaceOf(pooled, block, n, o, row, column), n, o, row,
                   column);
          }
        }
      }
    }
  }

  // The number of Y at `at`: the first of the largest sums in a window.
  void Window(int64_t at, int64_t n, int64_t o, int64_t row, int64_t column) {
    double most = -std::numeric_limits<double>::infinity();
    int64_t winner = 0;
    for (int64_t k = 0; k < s.pool * s.pool; ++k) {
      double sum = 0;
      EachTap(
          n, o, row * s.pool + k / s.pool, column * s.pool + k % s.pool,
          [&](int64_t i, int64_t j) { sum += double{x[i]} * double{w[j]}; });
      sum = written(sum) + double{b[o]};
      if (sum > most) winner = k;
      most = std::max(most, sum);
    }
    y[static_cast<size_t>(at)] = s.relu ? std::max(0.0, most) : most;
    const double g = s.relu && most <= 0 ? 0 : double{dy[at]};
    db[static_cast<size_t>(o)] += g;
    EachTap(n, o, row * s.pool + winner / s.pool,
            column * s.pool + winner % s.pool, [&](int64_t i, int64_t j) {
              dx[static_cast<size_t>(i)] += g * double{w[j]};
              dw[static_cast<size_t>(j)] += g * double{x[i]};
            });
  }

  // use(i, j) for all x[i] w[j] that an output is the sum of.
  void EachTap(int64_t n, int64_t o, int64_t row, int64_t column,
               const std::function<void(int64_t, int64_t)>& use) const {
    const int64_t group = s.in.channels / s.groups;
    const int64_t first = o / (s.out.channels / s.groups) * group;
    for (int64_t c = 0; c < group; ++c) {
      for (int64_t k = 0; k < s.kernel * s.kernel; ++k) {
        const int64_t r =
            row * s.stride + k / s.kernel * s.dilation - s.padding;
        const int64_t q =
            column * s.stride + k % s.kernel * s.dilation - s.padding;
        if (r < 0 || q < 0 || r >= s.in.height || q >= s.in.width) continue;
        use(PlaceOf(s.in, s.block, n, first + c, r, q),
            (o * group + c) * s.kernel * s.kernel + k);
      }
    }
  }

  static Precision OperandPrecision(const Conv2dKernel::Spec& spec) {
    return spec.precision == Precision::kFp32 ? Precision::kFp32
                                              : Precision::kBf16;
  }

  Conv2dKernel::Spec s;
  // What is left of a sum where it is written before the bias is added.
  double (*written)(double) = [](double sum) { return sum; };
  Flat x, w, b, dy;
  std::vector<double> y, dx, dw, db;
};

}  // namespace monsoon
