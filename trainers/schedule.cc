// SPDX-License-Identifier: Apache-2.0
#include "trainers/schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace monsoon {
namespace {

double FactorOf(const Schedule& schedule, double done) {
  if (done < schedule.warmup) {
    return schedule.first + (1 - schedule.first) * done / schedule.warmup;
  }
  switch (schedule.shape) {
    case Schedule::Shape::kConstant:
      return 1;
    case Schedule::Shape::kStep:
      return std::pow(schedule.decay, std::floor(done / schedule.step_epochs));
    case Schedule::Shape::kCosine: {
      const double rest = schedule.epochs - schedule.warmup;
      const double turn = rest > 0 ? (done - schedule.warmup) / rest : 1;
      return (1 + std::cos(std::numbers::pi * std::min(turn, 1.0))) / 2;
    }
  }
  return 1;
}

}  // namespace

float Schedule::Factor(double done) const {
  return std::max(std::numeric_limits<float>::min(),
                  static_cast<float>(FactorOf(*this, done)));
}

}  // namespace monsoon
