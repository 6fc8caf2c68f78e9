// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/bf16.h"
#include "base/flat.h"
#include "models/kernels/dense.h"
#include "models/precision.h"
#include "tests/models/numbers.h"

// A dense layer's numbers, for tests of every way and device.
namespace monsoon {

// Of a float32 sum of a few hundred products beside the largest of all sums.
inline constexpr double kDenseTolerance = 2e-6;

// What a dense layer should give, summed in double precision. With
// `rounds_bias`, b is what bfloat16 makes of it.
struct Product {
  explicit Product(const DenseKernel::Spec& s, bool rounds_bias = false)
      : x(Draw(s.batch * s.inputs, 1, s.precision)),
        w(Draw(s.outputs * s.inputs, 2, s.precision)),
        b(Draw(s.outputs, 3)),
        dy(Draw(s.batch * s.outputs, 4, s.precision)),
        y(Zeros(dy)),
        dx(Zeros(x)),
        dw(Zeros(w)),
        db(Zeros(b)) {
    if (rounds_bias) {
      for (float& value : b.span()) value = static_cast<float>(Bf16(value));
    }
    for (int64_t n = 0; n < s.batch; ++n) {
      for (int64_t o = 0; o < s.outputs; ++o) One(s, n, o);
    }
  }

  static std::vector<double> Zeros(const Flat& like) {
    return std::vector<double>(static_cast<size_t>(like.size()));
  }

  void One(const DenseKernel::Spec& s, int64_t n, int64_t o) {
    double sum = double{b[o]};
    for (int64_t i = 0; i < s.inputs; ++i) {
      sum += double{x[n * s.inputs + i]} * double{w[o * s.inputs + i]};
    }
    const int64_t at = n * s.outputs + o;
    y[static_cast<size_t>(at)] = s.relu ? std::max(0.0, sum) : sum;
    const double g = s.relu && sum <= 0 ? 0 : double{dy[at]};
    db[static_cast<size_t>(o)] += g;
    for (int64_t i = 0; i < s.inputs; ++i) {
      const int64_t xi = n * s.inputs + i, wi = o * s.inputs + i;
      dx[static_cast<size_t>(xi)] += g * double{w[wi]};
      dw[static_cast<size_t>(wi)] += g * double{x[xi]};
    }
  }

  Flat x, w, b, dy;
  std::vector<double> y, dx, dw, db;
};

inline std::vector<DenseKernel::Spec> OddSpecs(
    Precision precision = Precision::kFp32) {
  std::vector<DenseKernel::Spec> specs;
  for (const int64_t batch : {1, 3, 7, 17, 33, 65}) {
    for (const int64_t inputs : {1, 7, 16, 31, 33}) {
      for (const int64_t outputs : {1, 6, 17, 31}) {
        specs.push_back({batch, inputs, outputs, batch % 2 == 1});
      }
    }
  }
  // Where each of the three products is cut into parts.
  specs.push_back({3, 2001, 7, true});
  specs.push_back({261, 1650, 9, false});
  specs.push_back({70, 450, 530, true});
  for (DenseKernel::Spec& spec : specs) spec.precision = precision;
  return specs;
}

}  // namespace monsoon
