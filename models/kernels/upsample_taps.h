// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace monsoon {

// A row or column of X that a row or column of Y is made from (upsample.h).
struct Tap {
  int32_t index;
  float weight;
};

// One (nearest) or two (bilinear) for each of scale * size rows or columns of
// Y, one behind the other.
inline std::vector<Tap> TapsOf(int64_t size, int64_t scale, bool bilinear) {
  std::vector<Tap> taps;
  for (int64_t i = 0; i < size * scale; ++i) {
    if (!bilinear) {
      taps.push_back({static_cast<int32_t>(i / scale), 1});
      continue;
    }
    const double at = std::max(
        0.0, (static_cast<double>(i) + 0.5) / static_cast<double>(scale) - 0.5);
    const auto first = static_cast<int64_t>(at);
    const auto weight = static_cast<float>(at - static_cast<double>(first));
    taps.push_back({static_cast<int32_t>(first), 1 - weight});
    taps.push_back(
        {static_cast<int32_t>(std::min(first + 1, size - 1)), weight});
  }
  return taps;
}

}  // namespace monsoon
