// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace monsoon {

// One example's tensor, without the batch. A vector of n numbers is {n, 1, 1}.
struct Shape {
  int64_t channels = 1;
  int64_t height = 1;
  int64_t width = 1;

  int64_t size() const { return channels * height * width; }
  // "1x28x28"
  std::string ToString() const {
    return absl::StrCat(channels, "x", height, "x", width);
  }
  bool operator==(const Shape&) const = default;
};

}  // namespace monsoon
