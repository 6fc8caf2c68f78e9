// SPDX-License-Identifier: Apache-2.0
#include "trainers/codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "trainers/elements.h"

namespace monsoon {
namespace {

static_assert(std::endian::native == std::endian::little,
              "numbers are written as they lie in memory");

// Floats that share a scale; also what is worked on at once, in cache.
constexpr int64_t kBlock = 256;

int64_t Blocks(int64_t n) { return (n + kBlock - 1) / kBlock; }

// Calls fn(offset, size) for every block of n floats.
template <typename Fn>
void ForEachBlock(int64_t n, Fn fn) {
  for (int64_t i = 0; i < n; i += kBlock) fn(i, std::min(kBlock, n - i));
}

// Turns what got lost before into what is to be sent now.
void AddTo(float* residual, const float* values, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) residual[i] += values[i];
}

template <typename Number>
void Put(char* to, Number number) {
  std::memcpy(to, &number, sizeof number);
}
template <typename Number>
Number Get(const char* from) {
  Number number;
  std::memcpy(&number, from, sizeof number);
  return number;
}

// Bits of float32, in which a magnitude is a number that grows with it, up to
// those of what is not finite.
uint32_t Bits(float value) { return std::bit_cast<uint32_t>(value); }
float FromBits(uint32_t bits) { return std::bit_cast<float>(bits); }
constexpr uint32_t kSign = 0x80000000;
constexpr uint32_t kInfinity = 0x7f800000;

// The two 16-bit numbers: without branches, so that loops over them vectorise.
// What is finite becomes finite, what is not stays so.
struct Bfloat16 {
  static uint16_t From(float value) {
    const uint32_t sign = Bits(value) & kSign;
    const uint32_t bits = Bits(value) ^ sign;
    const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
    const uint32_t largest = bits < kInfinity ? 0x7f7fffff : 0x7fffffff;
    return static_cast<uint16_t>((std::min(rounded, largest) | sign) >> 16);
  }
  static float To(uint16_t half) { return FromBits(uint32_t{half} << 16); }
};

struct Float16 {
  static constexpr uint32_t kExponents = 112u << 23;  // float32 has more
  static constexpr uint32_t kLeast = 113u << 23;      // of normal numbers
  static uint16_t From(float value) {
    const uint32_t sign = Bits(value) & kSign;
    const uint32_t bits = Bits(value) ^ sign;
    const uint32_t rounded =
        (bits + 0xfff + (bits >> 13 & 1) - kExponents) >> 13;
    const uint32_t largest = bits < kInfinity ? 0x7bff : 0x7e00;
    const uint32_t normal = std::min(rounded, largest);
    // In [0.5, 1) float32 counts in steps of the smallest float16.
    const uint32_t subnormal = Bits(FromBits(bits) + 0.5f) - Bits(0.5f);
    return static_cast<uint16_t>((bits < kLeast ? subnormal : normal) |
                                 sign >> 16);
  }
  static float To(uint16_t half) {
    const uint32_t sign = (half & 0x8000u) << 16;
    const uint32_t bits = (half & 0x7fffu) << 13;
    const uint32_t normal =
        bits + (bits >= 0x7c00u << 13 ? 2 * kExponents : kExponents);
    const uint32_t subnormal = Bits(FromBits(bits + kLeast) - FromBits(kLeast));
    return FromBits((bits < 0x400u << 13 ? subnormal : normal) | sign);
  }
};

template <typename Half>
class HalfCodec final : public Codec {
 public:
  explicit HalfCodec(std::string name)
      : Codec(std::move(name), /*is_sparse=*/false) {}

 private:
  size_t CodedBytes(int64_t n) const override {
    return static_cast<size_t>(n) * sizeof(uint16_t);
  }
  void Write(const Flat& values, Flat& residual, char* to) const override {
    auto* halves = reinterpret_cast<uint16_t*>(to);
    const float* from = values.data();
    float* lost = residual.data();
    const int64_t size = values.size();
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) {
      const float sent = from[i] + lost[i];
      const uint16_t half = Half::From(sent);
      halves[i] = half;
      lost[i] = sent - Half::To(half);
    }
  }
  absl::Status Read(const char* from, Flat& values) const override {
    const auto* halves = reinterpret_cast<const uint16_t*>(from);
    float* to = values.data();
    const int64_t size = values.size();
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) to[i] = Half::To(halves[i]);
    return absl::OkStatus();
  }
};

// int8 and onebit: the scales of all blocks, and behind them the numbers.
size_t ScaleBytes(int64_t n) {
  return sizeof(float) * static_cast<size_t>(Blocks(n));
}
char* ScaleAt(char* to, int64_t i) {
  return to + i / kBlock * static_cast<int64_t>(sizeof(float));
}
float GetScale(const char* from, int64_t i, absl::Status& status) {
  const auto scale = Get<float>(ScaleAt(const_cast<char*>(from), i));
  if (!(scale >= 0 && std::isfinite(scale)) && status.ok()) {
    status = absl::InvalidArgumentError(
        absl::StrCat("the scale of block ", i / kBlock, " is ", scale,
                     ", expected a finite number, at least 0"));
  }
  return scale;
}

class Int8Codec final : public Codec {
 public:
  Int8Codec() : Codec("int8", /*is_sparse=*/false) {}

 private:
  static constexpr float kLargest = 127;
  // Added to a float below 2^22, leaves the nearest whole number in the lowest
  // bits of the sum.
  static constexpr float kToWhole = 0x1.8p23f;

  size_t CodedBytes(int64_t n) const override {
    return ScaleBytes(n) + static_cast<size_t>(n);
  }

  // The same again for what is decoded, so that coding it once more loses
  // nothing; 0 for what is too small to divide by.
  static float Scale(float largest) {
    float scale = largest / kLargest;
    // 127 times it has to be finite, also where that rounds up.
    if (std::isfinite(largest)) scale = std::min(scale, 2.6793e36f);
    if (scale < std::numeric_limits<float>::min()) return 0;
    for (int i = 0; i < 4; ++i) scale = scale * kLargest / kLargest;
    return scale;
  }

  void Write(const Flat& values, Flat& residual, char* to) const override {
    auto* numbers = reinterpret_cast<int8_t*>(to + ScaleBytes(values.size()));
    ForEachBlock(values.size(), [&](int64_t i, int64_t n) {
      float* sent = residual.data() + i;
      AddTo(sent, values.data() + i, n);
      uint32_t largest = 0;
      for (int64_t j = 0; j < n; ++j) {
        const float value = sent[j];
        largest = std::max(largest, Bits(value) & ~kSign);
      }
      const float scale = Scale(FromBits(largest));
      Put(ScaleAt(to, i), scale);
      const bool is_usable = scale > 0 && std::isfinite(scale);
      const float inverse = is_usable ? 1 / scale : 0;
#pragma GCC ivdep
      for (int64_t j = 0; j < n; ++j) {
        const float value = sent[j];
        const float whole = value * inverse + kToWhole;
        numbers[i + j] = static_cast<int8_t>(Bits(whole));
        sent[j] = value - (whole - kToWhole) * scale;
      }
    });
  }

  absl::Status Read(const char* from, Flat& values) const override {
    const auto* numbers =
        reinterpret_cast<const int8_t*>(from + ScaleBytes(values.size()));
    absl::Status status;
    ForEachBlock(values.size(), [&](int64_t i, int64_t n) {
      const float scale = GetScale(from, i, status);
      float* to = values.data() + i;
      int least = 0;
#pragma GCC ivdep
      for (int64_t j = 0; j < n; ++j) {
        least = std::min<int>(least, numbers[i + j]);
        to[j] = static_cast<float>(numbers[i + j]) * scale;
      }
      if (least < -127) {
        status.Update(absl::InvalidArgumentError(
            absl::StrCat("block ", i / kBlock, " has the number ", least,
                         ", expected -127 to 127")));
      }
    });
    return status;
  }
};

class OneBitCodec final : public Codec {
 public:
  OneBitCodec() : Codec("onebit", /*is_sparse=*/true) {}

 private:
  size_t CodedBytes(int64_t n) const override {
    return ScaleBytes(n) + static_cast<size_t>((n + 7) / 8);
  }

  static float Mean(const float* sent, int64_t n) {
    std::array<float, 8> sums{};  // side by side, which is faster than one
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
      for (size_t k = 0; k < 8; ++k) {
        sums[k] += std::abs(sent[i + static_cast<int64_t>(k)]);
      }
    }
    float sum = 0;
    for (; i < n; ++i) sum += std::abs(sent[i]);
    for (const float part : sums) sum += part;
    return sum / static_cast<float>(n);
  }

  void Write(const Flat& values, Flat& residual, char* to) const override {
    char* bits = to + ScaleBytes(values.size());
    ForEachBlock(values.size(), [&](int64_t i, int64_t n) {
      float* sent = residual.data() + i;
      AddTo(sent, values.data() + i, n);
      const float scale = Mean(sent, n);
      Put(ScaleAt(to, i), scale);
      for (int64_t j = 0; j < n; j += 8) {
        uint32_t byte = 0;
        for (int64_t k = 0; k < std::min<int64_t>(8, n - j); ++k) {
          byte |= Bits(sent[j + k]) >> 31 << k;
        }
        bits[(i + j) / 8] = static_cast<char>(byte);
      }
#pragma GCC ivdep
      for (int64_t j = 0; j < n; ++j) {
        sent[j] -= std::copysign(scale, sent[j]);
      }
    });
  }

  absl::Status Read(const char* from, Flat& values) const override {
    const int64_t size = values.size();
    const char* bits = from + ScaleBytes(size);
    absl::Status status;
    ForEachBlock(size, [&](int64_t i, int64_t n) {
      const uint32_t scale = Bits(GetScale(from, i, status));
      float* to = values.data() + i;
      for (int64_t j = 0; j < n; j += 8) {
        const uint32_t byte = static_cast<uint8_t>(bits[(i + j) / 8]);
        const auto value = [scale, byte](int64_t k) {
          return FromBits(scale | (byte << (31 - k) & kSign));
        };
        if (j + 8 <= n) {
          for (int64_t k = 0; k < 8; ++k) to[j + k] = value(k);
        } else {
          for (int64_t k = 0; k < n - j; ++k) to[j + k] = value(k);
        }
      }
    });
    const int64_t used = size % 8;  // bits of the last byte; 0: all
    if (used > 0 && static_cast<uint8_t>(bits[size / 8]) >> used != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a bit behind the last of ", size, " is set, expected 0"));
    }
    return status;
  }
};

class TopKCodec final : public Codec {
 public:
  // The name is kept as it was given: all of a job have to say the same.
  TopKCodec(absl::string_view name, double fraction)
      : Codec(std::string(name), /*is_sparse=*/true), fraction_(fraction) {}

 private:
  int64_t Kept(int64_t n) const {
    return std::clamp<int64_t>(std::llround(fraction_ * static_cast<double>(n)),
                               1, n);
  }
  size_t CodedBytes(int64_t n) const override {
    return static_cast<size_t>(Kept(n)) * (sizeof(uint32_t) + sizeof(float));
  }

  // Orders floats by magnitude.
  static uint32_t Key(float value) { return Bits(value) & ~kSign; }

  // The k-th largest key: first the bin that has it, then in that.
  static uint32_t Threshold(const Flat& values, int64_t k) {
    constexpr int kShift = 20;
    std::array<int64_t, (size_t{1} << (31 - kShift))> counts{};
    for (int64_t i = 0; i < values.size(); ++i) {
      ++counts[Key(values[i]) >> kShift];
    }
    size_t bin = counts.size() - 1;
    for (; counts[bin] < k; --bin) k -= counts[bin];
    std::vector<uint32_t> keys;
    keys.reserve(static_cast<size_t>(counts[bin]));
    for (int64_t i = 0; i < values.size(); ++i) {
      if (Key(values[i]) >> kShift == bin) keys.push_back(Key(values[i]));
    }
    std::nth_element(keys.begin(), keys.begin() + (k - 1), keys.end(),
                     std::greater<>());
    return keys[static_cast<size_t>(k - 1)];
  }

  void Write(const Flat& values, Flat& residual, char* to) const override {
    ForEach(AddUpdate{}, residual, values);
    const int64_t size = values.size();
    const int64_t k = Kept(size);
    const uint32_t threshold = Threshold(residual, k);
    int64_t equals = k;  // of those at the threshold, the first this many
    for (int64_t i = 0; i < size; ++i) {
      equals -= Key(residual[i]) > threshold ? 1 : 0;
    }
    char* index = to;
    char* value = to + static_cast<size_t>(k) * sizeof(uint32_t);
    for (int64_t i = 0; i < size; ++i) {
      const uint32_t key = Key(residual[i]);
      if (key < threshold || (key == threshold && equals-- <= 0)) continue;
      Put(index, static_cast<uint32_t>(i));
      Put(value, residual[i]);
      index += sizeof(uint32_t);
      value += sizeof(float);
      residual[i] = 0;
    }
  }

  absl::Status Read(const char* from, Flat& values) const override {
    const auto size = static_cast<size_t>(values.size());
    const auto k = static_cast<size_t>(Kept(values.size()));
    std::memset(values.data(), 0, size * sizeof(float));
    size_t least = 0;
    for (size_t i = 0; i < k; ++i) {
      const auto index = Get<uint32_t>(from + i * sizeof(uint32_t));
      if (index < least || index >= size) {
        return absl::InvalidArgumentError(
            absl::StrCat("index ", i, " is ", index, ", expected ", least,
                         " to ", size - 1));
      }
      least = size_t{index} + 1;
      values[index] =
          Get<float>(from + k * sizeof(uint32_t) + i * sizeof(float));
    }
    return absl::OkStatus();
  }

  const double fraction_;
};

}  // namespace

size_t Codec::Bytes(int64_t n) const {
  if (n == 0) return 0;
  return std::min(CodedBytes(n), static_cast<size_t>(n) * sizeof(float));
}

void Codec::Encode(const Flat& values, Flat& residual,
                   absl::Span<char> to) const {
  const int64_t n = values.size();
  MONSOON_CHECK(residual.size() == n && to.size() == Bytes(n),
                "there is room for what is lost and for what is sent");
  if (n == 0) return;
  if (CodedBytes(n) < static_cast<size_t>(n) * sizeof(float)) {
    return Write(values, residual, to.data());
  }
  Flat sent = Flat::View(AsFloats(to).data(), n);
  ForEach(SendAll{}, sent, residual, values);
}

absl::Status Codec::Decode(absl::Span<const char> from, Flat& values) const {
  const int64_t n = values.size();
  if (from.size() != Bytes(n)) {
    return absl::InvalidArgumentError(
        absl::StrCat(from.size(), " bytes of wire code ", name(), ", expected ",
                     Bytes(n), " for ", n, " floats"));
  }
  if (n == 0) return absl::OkStatus();
  if (CodedBytes(n) < static_cast<size_t>(n) * sizeof(float)) {
    return Read(from.data(), values);
  }
  std::memcpy(values.data(), from.data(), from.size());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<const Codec>> MakeCodec(absl::string_view name) {
  if (name == "fp32") return nullptr;
  if (name == "bf16") {
    return std::make_unique<HalfCodec<Bfloat16>>("bf16");
  }
  if (name == "fp16") return std::make_unique<HalfCodec<Float16>>("fp16");
  if (name == "int8") return std::make_unique<Int8Codec>();
  if (name == "onebit") return std::make_unique<OneBitCodec>();
  double fraction = 0;
  if (name.substr(0, 5) == "topk:" &&
      absl::SimpleAtod(name.substr(5), &fraction) && fraction > 0 &&
      fraction <= 1) {
    return std::make_unique<TopKCodec>(name, fraction);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown wire code \"", name,
      "\"; expected fp32, bf16, fp16, int8, onebit, or topk:FRACTION with a "
      "fraction above 0, at most 1"));
}

}  // namespace monsoon
