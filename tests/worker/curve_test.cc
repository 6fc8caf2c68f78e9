// SPDX-License-Identifier: Apache-2.0
#include "worker/curve.h"

#include <catch2/catch.hpp>

namespace monsoon {
namespace {

TEST_CASE("A curve is as dense as asked, while its copies fit into a GiB") {
  CHECK(SnapshotEvery(0, 0, 60'000) == 0);
  CHECK(SnapshotEvery(3000, 0, 60'000) == 3000);
  CHECK(SnapshotEvery(3000, 0.85, 60'000) == 3000);
  CHECK(SnapshotEvery(0, 0.85, 60'000) == 1200);
  CHECK(SnapshotEvery(0, 0.85, 10) == 1);
  CHECK(SnapshotEvery(7, 0, 60'000) == 7);
  constexpr int64_t kMiB = int64_t{1} << 20;
  CHECK(SnapshotEvery(7, 0, 60'000, 4 * kMiB) == 235);  // 256 copies
  CHECK(SnapshotEvery(300, 0, 60'000, 4 * kMiB) == 300);
  CHECK(SnapshotEvery(0, 0.85, 60'000, 100 * kMiB) == 6000);  // 10 copies
  CHECK(SnapshotEvery(0, 0.85, 60'000, 2000 * kMiB) == 60'000);
}

TEST_CASE("The time to an accuracy is that of the first point that has it") {
  const std::vector<CurvePoint> curve = {
      {1, 100, 0.5}, {2, 200, 0.8}, {3, 300, 0.7}, {4, 400, 0.9}};
  CHECK(TimeTo(curve, 0.4) == 1);
  CHECK(TimeTo(curve, 0.8) == 2);
  CHECK(TimeTo(curve, 0.81) == 4);
  CHECK(!TimeTo(curve, 0.91).has_value());
  CHECK(!TimeTo({}, 0.1).has_value());
}

}  // namespace
}  // namespace monsoon
