// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/element.h"

// What dropout draws, the same on every device.
namespace monsoon {

// A bijection of 32-bit numbers with little bias (multipliers: C. Wellons's
// lowbias32). Unlike a stream, it vectorises and needs no memory for a mask.
MONSOON_ELEMENT inline uint32_t DropoutHash(uint32_t h) {
  h = (h ^ (h >> 16)) * 0x7feb352du;
  h = (h ^ (h >> 15)) * 0x846ca68bu;
  return h ^ (h >> 16);
}

// Uniform, a function of the place in memory and the two halves of the key.
MONSOON_ELEMENT inline uint32_t DropoutDraw(int64_t i, uint32_t low,
                                            uint32_t high) {
  return DropoutHash(DropoutHash(static_cast<uint32_t>(i) ^ low) ^ high);
}

}  // namespace monsoon
