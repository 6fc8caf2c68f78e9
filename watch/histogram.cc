// SPDX-License-Identifier: Apache-2.0
#include "watch/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace monsoon {
namespace {

// `each(visit)` calls visit(value, how often) for all values, finite ones.
template <typename Each>
std::vector<BucketedValues::Bucket> BucketsOf(const Each& each) {
  constexpr int kBuckets = BucketedValues::kBuckets;
  double least = std::numeric_limits<double>::infinity();
  double most = -least;
  double total = 0;
  each([&](double value, double count) {
    least = std::min(least, value);
    most = std::max(most, value);
    total += count;
  });
  if (total == 0) return {};
  if (least == most) return {{least - 0.5, least + 0.5, total}};
  std::vector<BucketedValues::Bucket> buckets(kBuckets);
  const double width = (most - least) / kBuckets;
  for (int i = 0; i < kBuckets; ++i) {
    buckets[static_cast<size_t>(i)] = {.left = least + i * width,
                                       .right = least + (i + 1) * width};
  }
  buckets.back().right = most;  // in spite of rounding
  each([&](double value, double count) {
    const double place = std::floor((value - least) / width);
    buckets[static_cast<size_t>(std::min(place, kBuckets - 1.0))].count +=
        count;
  });
  return buckets;
}

}  // namespace

BucketedValues Bucketed(absl::Span<const float> values) {
  BucketedValues bucketed;
  bucketed.buckets = BucketsOf([&](const auto& visit) {
    for (const float value : values) {
      if (std::isfinite(value)) visit(value, 1);
    }
  });
  bucketed.not_finite = std::count_if(
      values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  return bucketed;
}

BucketedValues Bucketed(const std::map<int64_t, int64_t>& counts) {
  BucketedValues bucketed;
  bucketed.buckets = BucketsOf([&](const auto& visit) {
    for (const auto& [value, count] : counts) {
      if (count > 0) {
        visit(static_cast<double>(value), static_cast<double>(count));
      }
    }
  });
  return bucketed;
}

}  // namespace monsoon
