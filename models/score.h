// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace monsoon {

// How well a model does on some examples. Sums, so that scores of parts add up.
struct Score {
  double loss_sum = 0;  // of softmax cross-entropies, natural logarithm
  int64_t correct = 0;  // examples
};

}  // namespace monsoon
