// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>

#include "models/layers/layers.h"
#include "tests/models/layer_bench.h"

namespace monsoon {
namespace {

TEST_CASE("ReLU on a GPU", "[cuda]") {
  for (const int64_t block : {1, 8}) {
    CheckLayer(
        {"relu",
         Relu(),
         3,
         {16, 3, 7},
         block,
         0.01f,
         [](const At& x, const Shape&, const Flat&, int64_t n, int64_t c,
            int64_t h, int64_t w) { return std::max(0.0, x(n, c, h, w)); }});
  }
}

}  // namespace
}  // namespace monsoon
