// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "base/element.h"

// The arithmetic of the codes (trainers/codec.h), for every device: written
// without branches where loops over it shall vectorise.
namespace monsoon {

// Floats that share a scale; also what is worked on at once, in cache.
inline constexpr int64_t kCodecBlock = 256;
inline constexpr int64_t CodecBlocks(int64_t n) {
  return (n + kCodecBlock - 1) / kCodecBlock;
}

// Bits of float32, in which a magnitude is a number that grows with it, up to
// those of what is not finite.
MONSOON_ELEMENT inline uint32_t Bits(float value) {
  return __builtin_bit_cast(uint32_t, value);
}
MONSOON_ELEMENT inline float FromBits(uint32_t bits) {
  return __builtin_bit_cast(float, bits);
}
inline constexpr uint32_t kSignBit = 0x80000000;
inline constexpr uint32_t kInfinityBits = 0x7f800000;
// Orders floats by magnitude.
MONSOON_ELEMENT inline uint32_t MagnitudeKey(float value) {
  return Bits(value) & ~kSignBit;
}
MONSOON_ELEMENT inline uint32_t LesserOf(uint32_t a, uint32_t b) {
  return b < a ? b : a;
}

// The two 16-bit numbers. What is finite becomes finite, what is not stays so.
struct Bfloat16 {
  MONSOON_ELEMENT static uint16_t From(float value) {
    const uint32_t sign = Bits(value) & kSignBit;
    const uint32_t bits = Bits(value) ^ sign;
    const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
    const uint32_t largest = bits < kInfinityBits ? 0x7f7fffff : 0x7fffffff;
    return static_cast<uint16_t>((LesserOf(rounded, largest) | sign) >> 16);
  }
  MONSOON_ELEMENT static float To(uint16_t half) {
    return FromBits(uint32_t{half} << 16);
  }
};

struct Float16 {
  static constexpr uint32_t kExponents = 112u << 23;  // float32 has more
  static constexpr uint32_t kLeast = 113u << 23;      // of normal numbers
  MONSOON_ELEMENT static uint16_t From(float value) {
    const uint32_t sign = Bits(value) & kSignBit;
    const uint32_t bits = Bits(value) ^ sign;
    const uint32_t rounded =
        (bits + 0xfff + (bits >> 13 & 1) - kExponents) >> 13;
    const uint32_t largest = bits < kInfinityBits ? 0x7bff : 0x7e00;
    const uint32_t normal = LesserOf(rounded, largest);
    // In [0.5, 1) float32 counts in steps of the smallest float16.
    const uint32_t subnormal = Bits(FromBits(bits) + 0.5f) - Bits(0.5f);
    return static_cast<uint16_t>((bits < kLeast ? subnormal : normal) |
                                 sign >> 16);
  }
  MONSOON_ELEMENT static float To(uint16_t half) {
    const uint32_t sign = (half & 0x8000u) << 16;
    const uint32_t bits = (half & 0x7fffu) << 13;
    const uint32_t normal =
        bits + (bits >= 0x7c00u << 13 ? 2 * kExponents : kExponents);
    const uint32_t subnormal = Bits(FromBits(bits + kLeast) - FromBits(kLeast));
    return FromBits((bits < 0x400u << 13 ? subnormal : normal) | sign);
  }
};

// int8: numbers from -127 to 127 in steps of a scale.
struct Int8Numbers {
  static constexpr float kLargest = 127;
  // Added to a float below 2^22, leaves the nearest whole number in the lowest
  // bits of the sum.
  static constexpr float kToWhole = 0x1.8p23f;

  // Of a block whose largest magnitude this is. The same again for what is
  // decoded, so that coding it once more loses nothing; 0 for what is too small
  // to divide by.
  MONSOON_ELEMENT static float Scale(float largest) {
    constexpr float kMost = 2.6793e36f, kNormal = 0x1p-126f;
    float scale = largest / kLargest;
    // 127 times it has to be finite, also where that rounds up.
    if (Bits(largest) < kInfinityBits && kMost < scale) scale = kMost;
    if (scale < kNormal) return 0;
    for (int i = 0; i < 4; ++i) scale = scale * kLargest / kLargest;
    return scale;
  }
  // What numbers are multiplied by; 0 where the scale is no use.
  MONSOON_ELEMENT static float Inverse(float scale) {
    const bool is_usable = scale > 0 && Bits(scale) < kInfinityBits;
    return is_usable ? 1 / scale : 0;
  }
  // The number of a value, which becomes what gets lost of it.
  MONSOON_ELEMENT static int8_t From(float& value, float scale, float inverse) {
    const float whole = value * inverse + kToWhole;
    value = value - (whole - kToWhole) * scale;
    return static_cast<int8_t>(Bits(whole));
  }
};

// onebit: signs, and the mean magnitude of a block.
struct SignNumbers {
  MONSOON_ELEMENT static float Scale(const float* values, int64_t n) {
    float sums[8] = {};  // side by side, which is faster than one
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
      for (int64_t k = 0; k < 8; ++k) sums[k] += std::abs(values[i + k]);
    }
    float sum = 0;
    for (; i < n; ++i) sum += std::abs(values[i]);
    for (int64_t k = 0; k < 8; ++k) sum += sums[k];
    return sum / static_cast<float>(n);
  }
  // The signs of up to 8 values, lowest bit first.
  MONSOON_ELEMENT static char From(const float* values, int64_t n) {
    uint32_t byte = 0;
    for (int64_t k = 0; k < (n < 8 ? n : 8); ++k) {
      byte |= Bits(values[k]) >> 31 << k;
    }
    return static_cast<char>(byte);
  }
  // What gets lost of a value.
  MONSOON_ELEMENT static float Lost(float value, float scale) {
    return value - FromBits(MagnitudeKey(scale) | (Bits(value) & kSignBit));
  }
};

}  // namespace monsoon
