// SPDX-License-Identifier: Apache-2.0
#include "trainers/codec.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "trainers/trainer.h"
#include "trainers/wire.h"

namespace monsoon {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

const std::vector<std::string> kCodes = {"bf16",     "fp16",     "int8",
                                         "onebit",   "topk:0.1", "topk:0.01",
                                         "topk:0.9", "topk:1"};
const std::vector<int64_t> kSizes = {1, 2, 7, 8, 9, 255, 256, 257, 1000, 4099};

std::unique_ptr<const Codec> Make(const std::string& name) {
  auto codec = MakeCodec(name);
  REQUIRE(codec.ok());
  REQUIRE(*codec != nullptr);
  CHECK((*codec)->name() == name);
  return *std::move(codec);
}

// Numbers of many magnitudes, both signs, some of them zero.
Flat Mixed(int64_t n, Random random) {
  Flat values(n);
  for (int64_t i = 0; i < n; ++i) {
    values[i] = random.Uniform(-1, 1) * std::exp2(random.Uniform(-30, 10));
    if (random.Below(10) == 0) values[i] = 0;
  }
  return values;
}

// Multiples of 2^-10 below 2, of which sums are exact.
Flat Dyadic(int64_t n, Random& random) {
  Flat values(n);
  for (float& value : values.span()) {
    value = static_cast<float>(random.Below(4096)) / 1024 - 2;
  }
  return values;
}

std::vector<char> Encode(const Codec& codec, const Flat& values,
                         Flat& residual) {
  std::vector<char> bytes(codec.Bytes(values.size()));
  codec.Encode(values, residual, absl::MakeSpan(bytes));
  return bytes;
}

Flat Decode(const Codec& codec, const std::vector<char>& bytes, int64_t n) {
  Flat values(n);
  for (float& value : values.span()) value = kNan;  // to be overwritten
  const absl::Status decoded = codec.Decode(bytes, values);
  INFO(decoded);
  REQUIRE(decoded.ok());
  return values;
}

double Sum(const Flat& values) {
  double sum = 0;
  for (const float value : values.span()) sum += double{value};
  return sum;
}

TEST_CASE("What was sent and the residual make up what there was", "[codec]") {
  const std::string name = GENERATE(from_range(kCodes));
  const int64_t n = GENERATE(from_range(kSizes));
  CAPTURE(name, n);
  const auto codec = Make(name);
  const Flat values = Mixed(n, Random({3}));
  Flat residual(n);
  const Flat sent = Decode(*codec, Encode(*codec, values, residual), n);
  for (int64_t i = 0; i < n; ++i) {
    INFO(i);
    // v - sent has no more bits than v where sent is v rounded; else one
    // rounding to float32.
    const double lost = double{values[i]} - double{sent[i]};
    CHECK(double{residual[i]} == Approx(lost).epsilon(1e-6));
    const bool rounds = name != "int8" && name != "onebit";
    if (rounds) CHECK(double{residual[i]} == lost);
  }
}

TEST_CASE("Over many messages nothing is lost: the sums are exact", "[codec]") {
  // Rounded to a number of few bits, multiples of 2^-10 leave such multiples.
  const std::string name =
      GENERATE(as<std::string>(), "bf16", "fp16", "topk:0.1", "topk:0.01");
  const int64_t n = 1000;
  CAPTURE(name);
  const auto codec = Make(name);
  Random random({5});
  Flat put(n), got(n), residual(n);
  for (int message = 0; message < 200; ++message) {
    const Flat values = Dyadic(n, random);
    ForEach([](float& sum, float v) { sum += v; }, put, values);
    const Flat sent = Decode(*codec, Encode(*codec, values, residual), n);
    ForEach([](float& sum, float v) { sum += v; }, got, sent);
  }
  for (int64_t i = 0; i < n; ++i) REQUIRE(got[i] + residual[i] == put[i]);
}

TEST_CASE("Residuals stay small over many messages", "[codec]") {
  const std::string name =
      GENERATE(as<std::string>(), "bf16", "fp16", "int8", "onebit", "topk:0.1");
  CAPTURE(name);
  const auto codec = Make(name);
  Random random({7});
  const int64_t n = 1000;
  Flat residual(n);
  double norm = 0;
  for (int message = 0; message < 300; ++message) {
    const Flat values = Dyadic(n, random);
    Encode(*codec, values, residual);
    norm = std::max(norm, Norm(residual) / Norm(values));
  }
  // (1 - delta) / delta of Karimireddy et al., with delta = 0.1 for topk.
  CHECK(norm < 10);
  if (name == "int8") CHECK(norm < 0.01);
  if (name == "bf16" || name == "fp16") CHECK(norm < 0.005);
}

TEST_CASE("Zeros, subnormals and constants have no special effect", "[codec]") {
  const std::string name = GENERATE(from_range(kCodes));
  const float constant =
      GENERATE(as<float>(), 0.0f, -0.0f, 1.0f, -3.0f, 1e-42f, 1e-38f);
  const int64_t n = 600;
  CAPTURE(name, constant);
  const auto codec = Make(name);
  Flat values(n), residual(n);
  for (float& value : values.span()) value = constant;
  const Flat sent = Decode(*codec, Encode(*codec, values, residual), n);
  for (int64_t i = 0; i < n; ++i) {
    REQUIRE(std::isfinite(sent[i]));
    REQUIRE(sent[i] + residual[i] == Approx(constant).epsilon(1e-6));
    if (constant == 0) REQUIRE((sent[i] == 0 && residual[i] == 0));
  }
}

TEST_CASE("What was decoded is coded again without loss", "[codec]") {
  const std::string name = GENERATE(as<std::string>(), "bf16", "fp16", "int8");
  CAPTURE(name);
  const auto codec = Make(name);
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const int64_t n = 700;
    const Flat values = Mixed(n, Random({seed}));
    Flat residual(n), none(n);
    const auto bytes = Encode(*codec, values, residual);
    const Flat sent = Decode(*codec, bytes, n);
    const Flat again = Decode(*codec, Encode(*codec, sent, none), n);
    REQUIRE(Norm(none) == 0);
    for (int64_t i = 0; i < n; ++i) REQUIRE(again[i] == sent[i]);
  }
}

TEST_CASE("Rounding errors are at most half a step", "[codec]") {
  const Flat values = Mixed(5000, Random({9}));
  const auto error = [&](const std::string& name) {
    const auto codec = Make(name);
    Flat residual(values.size());
    Encode(*codec, values, residual);
    return residual;
  };
  const Flat bf16 = error("bf16"), fp16 = error("fp16"), int8 = error("int8");
  for (int64_t i = 0; i < values.size(); ++i) {
    const float v = std::abs(values[i]);
    REQUIRE(std::abs(bf16[i]) <= std::ldexp(v, -8));
    REQUIRE(std::abs(fp16[i]) <=
            std::max(std::ldexp(v, -11), std::ldexp(1.0f, -25)));
    float largest = 0;
    for (int64_t j = i / 256 * 256;
         j < std::min<int64_t>(i / 256 * 256 + 256, values.size()); ++j) {
      largest = std::max(largest, std::abs(values[j]));
    }
    REQUIRE(std::abs(int8[i]) <= largest / 127 * 0.50001f);
  }
}

TEST_CASE("Halves round to nearest even, and to the largest number",
          "[codec]") {
  const auto sent = [](const std::string& name, float value) {
    const auto codec = Make(name);
    // Two, as a single float travels as it is.
    Flat values(2), residual(2);
    values[0] = value;
    return Decode(*codec, Encode(*codec, values, residual), 2)[0];
  };
  CHECK(sent("bf16", 1 + 0x1p-8f) == 1);            // halfway, to even
  CHECK(sent("bf16", 1 + 0x3p-8f) == 1 + 0x1p-6f);  // halfway, to even
  CHECK(sent("bf16", 1 + 0x1.1p-8f) == 1 + 0x1p-7f);
  CHECK(sent("bf16", -0x1.ffffp127f) == -0x1.fep127f);
  CHECK(sent("fp16", 1 + 0x1p-11f) == 1);
  CHECK(sent("fp16", 1 + 0x3p-11f) == 1 + 0x1p-9f);
  CHECK(sent("fp16", 65520) == 65504);
  CHECK(sent("fp16", -1e30f) == -65504);
  CHECK(sent("fp16", 0x1p-24f) == 0x1p-24f);  // the smallest
  CHECK(sent("fp16", 0x1p-25f) == 0);         // halfway, to even
  CHECK(sent("fp16", 0x3p-25f) == 0x1p-23f);  // halfway, to even
  CHECK(sent("fp16", -0x1.004p-14f) == -0x1.004p-14f);
  for (const std::string name : {"bf16", "fp16"}) {
    for (const float bad : {kInf, -kInf, kNan}) {
      CHECK_FALSE(std::isfinite(sent(name, bad)));
    }
  }
}

TEST_CASE("Every half is decoded as the standard says", "[codec]") {
  const auto codec = Make("fp16");
  const int64_t n = 1 << 16;
  std::vector<char> bytes(static_cast<size_t>(2 * n));
  for (int64_t i = 0; i < n; ++i) {
    const auto half = static_cast<uint16_t>(i);
    std::memcpy(bytes.data() + 2 * i, &half, 2);
  }
  const Flat values = Decode(*codec, bytes, n);
  for (int64_t i = 0; i < n; ++i) {
    const int exponent = static_cast<int>(i >> 10 & 31);
    const auto fraction = static_cast<double>(i & 1023);
    const double magnitude = exponent == 0
                                 ? std::ldexp(fraction, -24)
                                 : std::ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) {
      REQUIRE_FALSE(std::isfinite(values[i]));
    } else {
      REQUIRE(double{values[i]} == (i < n / 2 ? magnitude : -magnitude));
    }
  }
}

TEST_CASE("The largest numbers are sent too", "[codec]") {
  constexpr float kMax = std::numeric_limits<float>::max();
  for (const std::string name : {"bf16", "int8", "onebit", "topk:0.1"}) {
    INFO(name);
    const auto codec = Make(name);
    Flat values(300), residual(300);
    values[3] = -kMax;
    const Flat sent = Decode(*codec, Encode(*codec, values, residual), 300);
    CHECK(AllFinite(sent.span()));
    CHECK(AllFinite(residual.span()));
  }
}

TEST_CASE("int8 is exact on multiples of its step", "[codec]") {
  const auto codec = Make("int8");
  const int64_t n = 255;
  Flat values(n), residual(n);
  for (int64_t i = 0; i < n; ++i)
    values[i] = 0.5f * static_cast<float>(i - 127);
  Encode(*codec, values, residual);
  CHECK(Norm(residual) == 0);
}

TEST_CASE("topk sends the largest, the first of equals, exactly", "[codec]") {
  const auto codec = Make("topk:0.4");
  Flat values(10), residual(10);
  const std::vector<float> all = {1, -5, 3, 3, 0, -3, 2, 7, 3, -1};
  std::copy(all.begin(), all.end(), values.data());
  const Flat sent = Decode(*codec, Encode(*codec, values, residual), 10);
  const std::vector<float> expected = {0, -5, 3, 3, 0, 0, 0, 7, 0, 0};
  for (int64_t i = 0; i < 10; ++i) {
    CHECK(sent[i] == expected[static_cast<size_t>(i)]);
    CHECK(sent[i] + residual[i] == values[i]);
  }
  // What follows brings the rest.
  Flat nothing(10);
  for (int i = 0; i < 2; ++i) Encode(*codec, nothing, residual);
  CHECK(Norm(residual) == 0);
}

TEST_CASE("onebit keeps the sum of magnitudes of each block", "[codec]") {
  const auto codec = Make("onebit");
  const Flat values = Mixed(1024, Random({1}));
  Flat residual(1024);
  const Flat sent = Decode(*codec, Encode(*codec, values, residual), 1024);
  for (int64_t block = 0; block < 1024; block += 256) {
    Flat a = values.Slice(block, 256).Clone(),
         b = sent.Slice(block, 256).Clone();
    for (Flat* flat : {&a, &b}) {
      ForEach([](float& v) { v = std::abs(v); }, *flat);
    }
    CHECK(Sum(a) == Approx(Sum(b)).epsilon(1e-5));
  }
  for (int64_t i = 0; i < 1024; ++i) {
    REQUIRE(std::signbit(sent[i]) == std::signbit(values[i]));
  }
}

TEST_CASE("A message has the size that the code's table says", "[codec]") {
  const auto bytes = [](const std::string& name, int64_t n) {
    return Make(name)->Bytes(n);
  };
  CHECK(bytes("bf16", 1000) == 2000);
  CHECK(bytes("fp16", 1000) == 2000);
  CHECK(bytes("int8", 1000) == 1000 + 4 * 4);
  CHECK(bytes("onebit", 1000) == 125 + 4 * 4);
  CHECK(bytes("topk:0.01", 1000) == 8 * 10);
  // Nothing takes nothing: a shard of statistics alone.
  for (const std::string& name : kCodes) CHECK(bytes(name, 0) == 0);
  // Never more than float32.
  CHECK(bytes("topk:0.9", 1000) == 4000);
  CHECK(bytes("int8", 1) == 4);
  CHECK(bytes("topk:0.01", 1) == 4);
}

TEST_CASE("What is not finite is never decoded as a number", "[codec]") {
  const std::string name = GENERATE(from_range(kCodes));
  const float bad = GENERATE(as<float>(), kInf, -kInf, kNan);
  const int64_t n = GENERATE(1, 257, 1000);
  CAPTURE(name, bad, n);
  const auto codec = Make(name);
  Flat values = Mixed(n, Random({2}));
  Flat residual(n);
  values[n / 2] = bad;
  Flat sent(n);
  const absl::Status decoded =
      codec->Decode(Encode(*codec, values, residual), sent);
  CHECK((!decoded.ok() || !AllFinite(sent.span())));
}

// Not asked: a coded message is refused, or becomes values, never more.
TEST_CASE("Corrupt messages are refused, or are other numbers", "[codec]") {
  const std::string name = GENERATE(from_range(kCodes));
  const int64_t n = GENERATE(1, 9, 300, 1000);
  CAPTURE(name, n);
  const auto codec = Make(name);
  Random random({4});
  Flat residual(n);
  const auto good = Encode(*codec, Mixed(n, Random({4})), residual);
  Flat values(n);
  for (size_t size = 0; size < good.size(); size += 1 + size / 7) {
    const absl::Status cut =
        codec->Decode(absl::MakeConstSpan(good.data(), size), values);
    REQUIRE(absl::IsInvalidArgument(cut));
  }
  for (int i = 0; i < 2000; ++i) {
    auto bytes = good;
    for (uint64_t flips = 1 + random.Below(4); flips > 0; --flips) {
      bytes[random.Below(bytes.size())] ^=
          static_cast<char>(1 << random.Below(8));
    }
    codec->Decode(bytes, values).IgnoreError();  // under the sanitizers
  }
}

TEST_CASE("A message that no encoder writes is named", "[codec]") {
  const auto refuses = [](const std::string& name,
                          const std::vector<char>& bytes, int64_t n,
                          const std::string& why) {
    Flat values(n);
    const absl::Status status = Make(name)->Decode(bytes, values);
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()), Catch::Contains(why));
  };
  const auto with = [](std::vector<char> bytes, size_t at, auto number) {
    std::memcpy(bytes.data() + at, &number, sizeof number);
    return bytes;
  };
  const std::vector<char> int8(4 + 9), onebit(4 + 2), topk(16);
  refuses("int8", with(int8, 0, kNan), 9, "the scale of block 0 is nan");
  refuses("int8", with(int8, 0, -1.0f), 9, "scale of block 0 is -1");
  refuses("int8", with(int8, 4, int8_t{-128}), 9,
          "block 0 has the number -128");
  refuses("int8", std::vector<char>(12), 9, "12 bytes of wire code int8");
  refuses("onebit", with(onebit, 0, kInf), 9, "the scale of block 0 is inf");
  refuses("onebit", with(onebit, 5, uint8_t{2}), 9,
          "a bit behind the last of 9 is set");
  refuses("topk:0.2", with(topk, 0, uint32_t{10}), 10, "index 0 is 10");
  refuses("topk:0.2", with(topk, 0, uint32_t{3}), 10, "index 1 is 0");
}

TEST_CASE("Codes are legal by what a trainer sends", "[codec]") {
  const Traits downpour{.pushes = Payload::kGradient,
                        .replies = Payload::kCenter};
  const Traits elastic{.pushes = Payload::kParameters,
                       .replies = Payload::kElastic};
  const auto legal = [](const std::string& text, const Traits& traits) {
    const auto names = ParseWire(text);
    return names.ok() && MakeWire(*names, "it", traits).ok();
  };
  for (const std::string name : {"fp32", "bf16", "fp16", "int8"}) {
    CHECK(legal(name, downpour));
    CHECK(legal(name, elastic));
    CHECK(legal(name, {}) == (name == "fp32"));
  }
  for (const std::string name : {"topk:0.1", "onebit"}) {
    CHECK(legal(name, downpour));
    CHECK_FALSE(legal(name, elastic));
    CHECK_FALSE(legal("fp32," + name, downpour));
  }
  CHECK(ParseWire("topk:0.1")->text() == "topk:0.1,fp32");
  CHECK(ParseWire("topk:0.0123456789")->push == "topk:0.0123456789");
  CHECK(ParseWire("bf16")->text() == "bf16");
  CHECK(ParseWire("onebit,bf16")->text() == "onebit,bf16");
  CHECK(ParseWire("fp32,fp32")->text() == "fp32");
  for (const std::string bad :
       {"", ",", "bf16,", "topk", "topk:0", "topk:1.5", "topk:x", "int4",
        "bf16,bf16,bf16", "topk:nan"}) {
    INFO(bad);
    CHECK(absl::IsInvalidArgument(ParseWire(bad).status()));
  }
}

TEST_CASE("Statistics travel as they are", "[codec]") {
  const auto codec = Make("int8");
  const ShardCode code(codec.get(), 300, 7);
  CHECK(code.bytes() == 293 + 2 * 4 + 7 * 4);
  const Flat values = Mixed(300, Random({6}));
  Flat residual(300), decoded(300);
  std::vector<char> bytes(code.bytes());
  code.Encode(values, residual, absl::MakeSpan(bytes));
  REQUIRE(code.Decode(bytes, decoded).ok());
  for (int64_t i = 293; i < 300; ++i) {
    CHECK(decoded[i] == values[i]);
    CHECK(residual[i] == 0);
  }
  CHECK(decoded[0] != values[0]);
  bytes.pop_back();
  CHECK(absl::IsInvalidArgument(code.Decode(bytes, decoded)));
}

}  // namespace
}  // namespace monsoon
