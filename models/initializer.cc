// SPDX-License-Identifier: Apache-2.0
#include "models/initializer.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace monsoon {
namespace {

void FillUniform(float bound, Random& random, Flat& values) {
  for (float& value : values.span()) value = random.Uniform(-bound, bound);
}

// Box and Muller 1958, in double so that libraries differ in no bit of the
// rounded result but by rare chance.
void FillNormal(double deviation, Random& random, Flat& values) {
  for (float& value : values.span()) {
    const double radius =
        std::sqrt(-2 * std::log(1 - double{random.Uniform(0, 1)}));
    const double angle = 2 * std::numbers::pi * double{random.Uniform(0, 1)};
    value = static_cast<float>(deviation * radius * std::cos(angle));
  }
}

}  // namespace

void Initializer::Fill(absl::Span<const int64_t> shape, Random& random,
                       Flat& values) const {
  if (kind == Kind::kConstant) {
    std::fill(values.span().begin(), values.span().end(), value);
    return;
  }
  const auto size = static_cast<double>(values.size());
  const double in = fan_in > 0 ? fan_in : size / static_cast<double>(shape[0]);
  const bool he = kind == Kind::kHeUniform || kind == Kind::kHeNormal;
  double sum = in;  // the variance is 2 / sum
  if (!he) {
    sum += fan_out > 0 ? fan_out : size / static_cast<double>(shape[1]);
  }
  if (kind == Kind::kHeUniform || kind == Kind::kXavierUniform) {
    FillUniform(std::sqrt(6 / static_cast<float>(sum)), random, values);
  } else {
    FillNormal(std::sqrt(2 / sum), random, values);
  }
}

}  // namespace monsoon
