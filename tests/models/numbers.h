// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/flat.h"
#include "base/random.h"
#include "models/precision.h"

// Numbers for tests of kernels.
namespace monsoon {

// Uniform in [-1, 1), the same for the same stream; for bf16 numbers of eight
// bits, which it has exactly.
inline Flat Draw(int64_t size, uint64_t stream,
                 Precision precision = Precision::kFp32) {
  Random random({7, stream});
  Flat flat(size);
  for (float& value : flat.span()) value = random.Uniform(-1, 1);
  if (precision == Precision::kBf16) {
    for (float& value : flat.span()) value = std::round(value * 128) / 128;
  }
  return flat;
}

// For what is to be overwritten.
inline Flat NaNs(int64_t size) {
  Flat flat(size);
  std::fill(flat.span().begin(), flat.span().end(),
            std::numeric_limits<float>::quiet_NaN());
  return flat;
}

// The largest difference beside the largest number, at least `least`; NaN
// counts as infinite.
inline double Error(const Flat& found, const std::vector<double>& expected,
                    double least = 1e-30) {
  double difference = 0, largest = least;
  for (int64_t i = 0; i < found.size(); ++i) {
    const double e = expected[static_cast<size_t>(i)];
    if (std::isnan(found[i])) return std::numeric_limits<double>::infinity();
    difference = std::max(difference, std::abs(double{found[i]} - e));
    largest = std::max(largest, std::abs(e));
  }
  return difference / largest;
}

}  // namespace monsoon
