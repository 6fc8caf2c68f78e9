// SPDX-License-Identifier: Apache-2.0
#include "base/size_text.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace monsoon {
namespace {

TEST_CASE("Sizes have about two figures and the unit that suits them") {
  constexpr double kMiB = 1 << 20, kGiB = 1 << 30;
  CHECK(SizeText(0) == "0 KiB");
  CHECK(SizeText(312.4 * 1024) == "312 KiB");
  CHECK(SizeText(2.94 * kMiB) == "2.9 MiB");
  CHECK(SizeText(182 * kMiB) == "182 MiB");
  CHECK(SizeText(999 * kMiB) == "999 MiB");
  CHECK(SizeText(1000 * kMiB) == "1.0 GiB");
  CHECK(SizeText(1.25 * kGiB) == "1.2 GiB");
  CHECK(SizeText(6650 * kGiB) == "6.5 TiB");
  CHECK(SizeText(1e20) == "90949470.2 TiB");
  CHECK(SizeText(-1) == "-");
  CHECK(SizeText(std::nan("")) == "-");
}

}  // namespace
}  // namespace monsoon
