// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

#include "base/element.h"

namespace monsoon {

// A number in bfloat16 as GPUs have it in memory: the upper half of a float32,
// rounded to nearest, ties to even.
struct Bf16 {
  uint16_t bits;

  Bf16() = default;
  MONSOON_ELEMENT explicit Bf16(float value) {
    uint32_t whole;
    memcpy(&whole, &value, sizeof whole);
    // A NaN would round to infinity where its bits are all in the lower half.
    const bool is_nan = (whole & 0x7fffffffu) > 0x7f800000u;
    const uint32_t rounded = whole + 0x7fffu + ((whole >> 16) & 1u);
    bits = static_cast<uint16_t>(is_nan ? 0x7fc0u : rounded >> 16);
  }
  MONSOON_ELEMENT explicit operator float() const {
    const uint32_t whole = uint32_t{bits} << 16;
    float value;
    memcpy(&value, &whole, sizeof value);
    return value;
  }
};

}  // namespace monsoon
