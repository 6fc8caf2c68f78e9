// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/types/span.h"

namespace monsoon {

// How often values lie where. Of values that are all the same: one bucket of
// width 1 around them; of none: no bucket.
struct BucketedValues {
  static constexpr int kBuckets = 30;
  struct Bucket {
    double left = 0;
    double right = 0;  // exclusive, but for the last one
    double count = 0;
  };
  // Side by side, equally wide, from the smallest value to the largest.
  std::vector<Bucket> buckets;
  int64_t not_finite = 0;  // left out
};

BucketedValues Bucketed(absl::Span<const float> values);
// Of values that came so often.
BucketedValues Bucketed(const std::map<int64_t, int64_t>& counts);

}  // namespace monsoon
