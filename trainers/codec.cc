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
#include "base/registry.h"
#include "base/status_macros.h"
#include "trainers/codec_numbers.h"
#include "trainers/device_codec.h"
#include "trainers/elements.h"

namespace monsoon {
namespace {

static_assert(std::endian::native == std::endian::little,
              "numbers are written as they lie in memory");

// Calls fn(offset, size) for every block of n floats.
template <typename Fn>
void ForEachBlock(int64_t n, Fn fn) {
  for (int64_t i = 0; i < n; i += kCodecBlock) {
    fn(i, std::min(kCodecBlock, n - i));
  }
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

template <typename Half>
class HalfCodec final : public Codec {
 public:
  HalfCodec(std::string name, DeviceCodec::Encode DeviceCodec::*there)
      : Codec(std::move(name), /*is_sparse=*/false), there_(there) {}

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
  void WriteThere(const DeviceCodec& device, DeviceQueue& queue,
                  const DeviceMessage& message) const override {
    (device.*there_)(queue, message);
  }

  DeviceCodec::Encode DeviceCodec::*const there_;
};

// int8 and onebit: the scales of all blocks, and behind them the numbers.
size_t ScaleBytes(int64_t n) {
  return sizeof(float) * static_cast<size_t>(CodecBlocks(n));
}
char* ScaleAt(char* to, int64_t i) {
  return to + i / kCodecBlock * static_cast<int64_t>(sizeof(float));
}
float GetScale(const char* from, int64_t i, absl::Status& status) {
  const auto scale = Get<float>(ScaleAt(const_cast<char*>(from), i));
  if (!(scale >= 0 && std::isfinite(scale)) && status.ok()) {
    status = absl::InvalidArgumentError(
        absl::StrCat("the scale of block ", i / kCodecBlock, " is ", scale,
                     ", expected a finite number, at least 0"));
  }
  return scale;
}

class Int8Codec final : public Codec {
 public:
  Int8Codec() : Codec("int8", /*is_sparse=*/false) {}

 private:
  size_t CodedBytes(int64_t n) const override {
    return ScaleBytes(n) + static_cast<size_t>(n);
  }

  void Write(const Flat& values, Flat& residual, char* to) const override {
    auto* numbers = reinterpret_cast<int8_t*>(to + ScaleBytes(values.size()));
    ForEachBlock(values.size(), [&](int64_t i, int64_t n) {
      float* sent = residual.data() + i;
      AddTo(sent, values.data() + i, n);
      uint32_t largest = 0;
      for (int64_t j = 0; j < n; ++j) {
        largest = std::max(largest, MagnitudeKey(sent[j]));
      }
      const float scale = Int8Numbers::Scale(FromBits(largest));
      Put(ScaleAt(to, i), scale);
      const float inverse = Int8Numbers::Inverse(scale);
#pragma GCC ivdep
      for (int64_t j = 0; j < n; ++j) {
        numbers[i + j] = Int8Numbers::From(sent[j], scale, inverse);
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
            absl::StrCat("block ", i / kCodecBlock, " has the number ", least,
                         ", expected -127 to 127")));
      }
    });
    return status;
  }
  void WriteThere(const DeviceCodec& device, DeviceQueue& queue,
                  const DeviceMessage& message) const override {
    device.int8(queue, message);
  }
};

class OneBitCodec final : public Codec {
 public:
  OneBitCodec() : Codec("onebit", /*is_sparse=*/true) {}

 private:
  size_t CodedBytes(int64_t n) const override {
    return ScaleBytes(n) + static_cast<size_t>((n + 7) / 8);
  }

  void Write(const Flat& values, Flat& residual, char* to) const override {
    char* bits = to + ScaleBytes(values.size());
    ForEachBlock(values.size(), [&](int64_t i, int64_t n) {
      float* sent = residual.data() + i;
      AddTo(sent, values.data() + i, n);
      const float scale = SignNumbers::Scale(sent, n);
      Put(ScaleAt(to, i), scale);
      for (int64_t j = 0; j < n; j += 8) {
        bits[(i + j) / 8] = SignNumbers::From(sent + j, n - j);
      }
#pragma GCC ivdep
      for (int64_t j = 0; j < n; ++j) {
        sent[j] = SignNumbers::Lost(sent[j], scale);
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
          return FromBits(scale | (byte << (31 - k) & kSignBit));
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
  void WriteThere(const DeviceCodec& device, DeviceQueue& queue,
                  const DeviceMessage& message) const override {
    device.onebit(queue, message);
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

  // The k-th largest key: first the bin that has it, then in that.
  static uint32_t Threshold(const Flat& values, int64_t k) {
    constexpr int kShift = 20;
    std::array<int64_t, (size_t{1} << (31 - kShift))> counts{};
    for (int64_t i = 0; i < values.size(); ++i) {
      ++counts[MagnitudeKey(values[i]) >> kShift];
    }
    size_t bin = counts.size() - 1;
    for (; counts[bin] < k; --bin) k -= counts[bin];
    std::vector<uint32_t> keys;
    keys.reserve(static_cast<size_t>(counts[bin]));
    for (int64_t i = 0; i < values.size(); ++i) {
      if (MagnitudeKey(values[i]) >> kShift == bin)
        keys.push_back(MagnitudeKey(values[i]));
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
      equals -= MagnitudeKey(residual[i]) > threshold ? 1 : 0;
    }
    char* index = to;
    char* value = to + static_cast<size_t>(k) * sizeof(uint32_t);
    for (int64_t i = 0; i < size; ++i) {
      const uint32_t key = MagnitudeKey(residual[i]);
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

  void WriteThere(const DeviceCodec& device, DeviceQueue& queue,
                  const DeviceMessage& message) const override {
    device.topk(queue, message, Kept(message.size));
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
  DeviceQueue* const queue = values.queue();
  if (CodedBytes(n) < static_cast<size_t>(n) * sizeof(float)) {
    if (queue == nullptr) return Write(values, residual, to.data());
    const auto* device = Registry<DeviceCodec>::Get().Find(queue->kind());
    MONSOON_CHECK(device != nullptr && residual.queue() == queue,
                  "the device knows the codes, and all lies there");
    return WriteThere(*device, *queue,
                      {values.data(), residual.data(), n, to.data()});
  }
  Flat sent = Flat::View(AsFloats(to).data(), n, queue);
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
  if (values.queue() != nullptr) {
    std::vector<char> bytes(from.size());
    values.queue()->Copy(bytes.data(), from.data(), from.size());
    RETURN_IF_ERROR(values.queue()->Wait());
    Flat here(n);
    RETURN_IF_ERROR(Decode(bytes, here));
    values.CopyFrom(here);
    return absl::OkStatus();
  }
  if (CodedBytes(n) < static_cast<size_t>(n) * sizeof(float)) {
    return Read(from.data(), values);
  }
  std::memcpy(values.data(), from.data(), from.size());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<const Codec>> MakeCodec(absl::string_view name) {
  if (name == "fp32") return nullptr;
  if (name == "bf16") {
    return std::make_unique<HalfCodec<Bfloat16>>("bf16", &DeviceCodec::bf16);
  }
  if (name == "fp16")
    return std::make_unique<HalfCodec<Float16>>("fp16", &DeviceCodec::fp16);
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
