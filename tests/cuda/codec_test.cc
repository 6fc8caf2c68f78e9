// SPDX-License-Identifier: Apache-2.0
// The wire codes written on a GPU: byte for byte what the processor writes, for
// all that is finite; NaNs have other bits there.
#include "trainers/codec.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/device_queue.h"
#include "base/random.h"
#include "tests/trainers/scripted_cluster.h"
#include "trainers/wire.h"

namespace monsoon {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMax = std::numeric_limits<float>::max();

const std::vector<std::string> kCodes = {"bf16",     "fp16",     "int8",
                                         "onebit",   "topk:0.1", "topk:0.01",
                                         "topk:0.9", "topk:0.4"};

MemoryResource& Gpu() { return TestMemory(0); }

Flat ToGpu(const Flat& values) {
  Flat there(values.size(), Gpu());
  there.CopyFrom(values);
  return there;
}

std::vector<float> Values(const Flat& values) {
  const Flat here = values.ToHost();
  return {here.span().begin(), here.span().end()};
}

// Room for a message on the GPU.
struct Message {
  explicit Message(size_t bytes)
      : memory(static_cast<int64_t>(bytes / sizeof(float) + 1), Gpu()),
        span(reinterpret_cast<char*>(memory.data()), bytes) {}
  std::vector<char> bytes() const {
    const Flat here = memory.ToHost();
    const auto* const begin = reinterpret_cast<const char*>(here.data());
    return {begin, begin + span.size()};
  }
  Flat memory;
  absl::Span<char> span;
};

// Of many kinds: magnitudes far apart, zeros of both signs, equal magnitudes,
// what is below normal numbers, the largest.
Flat Numbers(int64_t n, int kind) {
  Random random({static_cast<uint64_t>(n), static_cast<uint64_t>(kind)});
  Flat values(n);
  for (int64_t i = 0; i < n; ++i) {
    const float sign = random.Below(2) == 0 ? 1.0f : -1.0f;
    switch (kind) {
      case 0:
        values[i] = random.Uniform(-1, 1) * std::exp2(random.Uniform(-30, 10));
        break;
      case 1:
        values[i] = sign * static_cast<float>(random.Below(3));
        break;
      case 2:
        values[i] = sign * 0.25f;
        break;
      case 3:
        values[i] = sign * 0.0f;
        break;
      case 4:
        values[i] = random.Uniform(-1, 1) * 0x1p-130f;
        break;
      default:
        values[i] = random.Below(4) == 0 ? sign * kMax : random.Uniform(-9, 9);
    }
  }
  return values;
}

TEST_CASE("A GPU codes as the processor does", "[cuda][codec]") {
  const std::string name = GENERATE(from_range(kCodes));
  const int64_t n =
      GENERATE(1, 2, 7, 9, 255, 256, 257, 1000, 4099, 1024 * 512 + 3);
  const auto codec = *MakeCodec(name);
  for (int kind = 0; kind < 6; ++kind) {
    if (n > 5000 && (kind > 2 || name == "topk:0.01")) continue;
    CAPTURE(name, n, kind);
    const Flat values = Numbers(n, kind), values_there = ToGpu(values);
    Flat residual(n), residual_there(n, Gpu());
    std::vector<char> bytes(codec->Bytes(n));
    Message message(bytes.size());
    for (int i = 0; i < (n > 5000 ? 1 : 3); ++i) {
      Flat sum = values.Clone();
      ForEach([](float& s, float r) { s += r; }, sum, residual);
      if (!AllFinite(sum)) break;  // the largest numbers' residuals
      codec->Encode(values, residual, absl::MakeSpan(bytes));
      codec->Encode(values_there, residual_there, message.span);
      REQUIRE(message.bytes() == bytes);
      REQUIRE(SameBits(Values(residual_there), Values(residual)));
      // And back, from there and from here.
      Flat sent(n), sent_there(n, Gpu()), sent_from_here(n, Gpu());
      const bool decodes = codec->Decode(bytes, sent).ok();
      REQUIRE(codec->Decode(message.span, sent_there).ok() == decodes);
      REQUIRE(codec->Decode(bytes, sent_from_here).ok() == decodes);
      if (!decodes) break;  // onebit: their mean overflows
      REQUIRE(SameBits(Values(sent_there), Values(sent)));
      REQUIRE(SameBits(Values(sent_from_here), Values(sent)));
    }
  }
}

TEST_CASE("What is not finite is coded on a GPU as such", "[cuda][codec]") {
  const std::string name = GENERATE(from_range(kCodes));
  const float bad = GENERATE(as<float>(), kInf, -kInf, kNan);
  const int64_t n = GENERATE(1, 257, 1000);
  CAPTURE(name, bad, n);
  const auto codec = *MakeCodec(name);
  Flat values = Numbers(n, 0);
  values[n / 2] = bad;
  const Flat there = ToGpu(values);
  Flat residual(n, Gpu()), sent(n, Gpu());
  Message message(codec->Bytes(n));
  codec->Encode(there, residual, message.span);
  const absl::Status decoded = codec->Decode(message.span, sent);
  CHECK((!decoded.ok() || !AllFinite(sent)));
  CHECK(Gpu().queue()->status().ok());
}

TEST_CASE("A shard is coded on a GPU with its statistics", "[cuda][codec]") {
  const std::string name = GENERATE(from_range(kCodes));
  const int64_t statistics = GENERATE(0, 7, 300);
  CAPTURE(name, statistics);
  const auto codec = *MakeCodec(name);
  const ShardCode code(codec.get(), 300, statistics);
  const Flat values = Numbers(300, 0), values_there = ToGpu(values);
  Flat residual(300), residual_there(300, Gpu());
  std::vector<char> bytes(code.bytes());
  Message message(code.bytes());
  code.Encode(values, residual, absl::MakeSpan(bytes));
  code.Encode(values_there, residual_there, message.span);
  CHECK(message.bytes() == bytes);
  CHECK(SameBits(Values(residual_there), Values(residual)));
  Flat sent(300), sent_there(300, Gpu());
  CHECK(code.Decode(bytes, sent).ok());
  CHECK(code.Decode(message.span, sent_there).ok());
  CHECK(SameBits(Values(sent_there), Values(sent)));
  // The servers' side of elastic averaging.
  Shard here(300, statistics), there(300, statistics, Gpu());
  here.reply_code = there.reply_code = &code;
  Flat reply = values.Clone(), reply_there = values_there.Clone();
  for (int i = 0; i < 2; ++i) {
    here.RoundReply(reply);
    there.RoundReply(reply_there);
    CHECK(SameBits(Values(reply_there), Values(reply)));
  }
}

TEST_CASE("A bad message is refused on a GPU with the same words",
          "[cuda][codec]") {
  const auto codec = *MakeCodec("onebit");
  Flat values(9, Gpu());
  std::vector<char> bytes(codec->Bytes(9));
  CHECK(codec->Decode(bytes, values).ok());
  bytes.back() = 2;
  CHECK_THAT(std::string(codec->Decode(bytes, values).message()),
             Catch::Contains("a bit behind the last of 9 is set"));
  bytes.pop_back();
  CHECK_THAT(std::string(codec->Decode(bytes, values).message()),
             Catch::Contains("bytes of wire code onebit, expected"));
}

}  // namespace
}  // namespace monsoon
