// SPDX-License-Identifier: Apache-2.0
#include "data/idx.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/random.h"
#include "tests/data/idx_files.h"

namespace monsoon {
namespace {

using Catch::Matchers::Contains;

const std::vector<uint32_t> kShape = {5, 4, 3};

std::vector<uint8_t> Payload(size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i);
  return bytes;
}

// Why the bytes are refused; "" where they are not.
std::string Refusal(absl::string_view bytes, int dimensions = 3) {
  const absl::StatusOr<IdxArray> array = DecodeIdx(bytes, "x.gz", dimensions);
  if (array.ok()) return "";
  REQUIRE(absl::IsDataLoss(array.status()));
  std::string message(array.status().message());
  REQUIRE_THAT(message, Contains("\"x.gz\""));
  REQUIRE_THAT(message, Contains("expected") || Contains("truncated"));
  return message;
}

TEST_CASE("Plain and gzip files give the same array and checksum") {
  const std::string plain = IdxFile(kShape, 256);
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(plain.data()),
                          static_cast<uInt>(plain.size()));
  for (const std::string& file : {plain, Gzip(plain)}) {
    const absl::StatusOr<IdxArray> array = DecodeIdx(file, "x", 3);
    REQUIRE(array.ok());
    CHECK(array->extents == std::vector<int64_t>{5, 4, 3});
    CHECK(array->bytes == Payload(60));
    CHECK(array->crc == crc);
  }
}

TEST_CASE("A part keeps its own examples and the checksum of the whole") {
  // Large enough that examples straddle the pieces of the inflater.
  const std::string plain = IdxFile({1000, 28, 28}, 251);
  const absl::StatusOr<IdxArray> whole = DecodeIdx(plain, "x", 3);
  REQUIRE(whole.ok());
  for (const std::string& file : {plain, Gzip(plain)}) {
    for (int worker = 0; worker < 3; ++worker) {
      const absl::StatusOr<IdxArray> array =
          DecodeIdx(file, "x", 3, {worker, 3});
      REQUIRE(array.ok());
      CHECK(array->extents == whole->extents);
      CHECK(array->crc == whole->crc);
      std::vector<uint8_t> expected;
      for (int64_t e : Partition(1000, worker, 3)) {
        const auto image = whole->bytes.begin() + e * 784;
        expected.insert(expected.end(), image, image + 784);
      }
      CHECK(array->bytes == expected);
      CHECK(array->bytes.capacity() == expected.size());
    }
  }
}

TEST_CASE("A gzip file cut short anywhere is refused") {
  const std::string file = Gzip(IdxFile(kShape, 256));
  for (size_t size = 2; size < file.size(); ++size) {
    CAPTURE(size);
    REQUIRE_THAT(Refusal(file.substr(0, size)), Contains("is truncated"));
  }
  CHECK_THAT(Refusal(file.substr(0, 1)), Contains("size is 1 bytes"));
  CHECK_THAT(Refusal(""), Contains("size is 0 bytes"));
}

TEST_CASE("A plain file cut short anywhere is refused") {
  const std::string file = IdxFile(kShape, 256);
  for (size_t size = 0; size < file.size(); ++size) {
    CAPTURE(size);
    REQUIRE(!Refusal(file.substr(0, size)).empty());
  }
}

TEST_CASE("What is neither gzip nor IDX is refused by its first bytes") {
  CHECK_THAT(Refusal("<html>not found</html>"), Contains("start is 3c 68"));
}

TEST_CASE("A wrong checksum is refused") {
  std::string file = Gzip(IdxFile(kShape, 256));
  file[file.size() - 8] = static_cast<char>(file[file.size() - 8] ^ 1);
  CHECK_THAT(Refusal(file), Contains("incorrect data check"));
}

TEST_CASE("A damaged deflate stream is refused") {
  std::string file = Gzip(IdxFile(kShape, 256));
  file[10] = '\xff';
  CHECK_THAT(Refusal(file), Contains("is damaged: zlib says"));
}

TEST_CASE("Bytes behind the gzip data are refused") {
  CHECK_THAT(Refusal(Gzip(IdxFile(kShape, 256)) + "abc"),
             Contains("has 3 bytes behind the end"));
}

TEST_CASE("Another magic number or number of dimensions is refused") {
  const std::string data(60, 'x');
  for (bool gzip : {false, true}) {
    auto refusal = [gzip](const std::string& bytes, int dimensions) {
      return Refusal(gzip ? Gzip(bytes) : bytes, dimensions);
    };
    CHECK_THAT(refusal(IdxHeader(kShape, 0x0d03) + data, 3),
               Contains("magic number is 0x00000d03, expected 0x00000803"));
    CHECK_THAT(refusal(IdxFile(kShape, 256), 1),
               Contains("magic number is 0x00000803, expected 0x00000801"));
    CHECK_THAT(refusal(IdxFile({60}, 256), 3),
               Contains("magic number is 0x00000801, expected 0x00000803"));
  }
}

TEST_CASE("A size that the header does not announce is refused") {
  const std::string header = IdxHeader(kShape, 0x0803);
  for (bool gzip : {false, true}) {
    auto refusal = [&](size_t size) {
      const std::string bytes = header + std::string(size, 'x');
      return Refusal(gzip ? Gzip(bytes) : bytes);
    };
    CHECK(refusal(60).empty());
    CHECK_THAT(refusal(61), Contains("is more than 60 bytes, expected 60"));
    CHECK_THAT(refusal(59), Contains("is 59 bytes, expected 60 (5 x 4 x 3)"));
    CHECK_THAT(refusal(0), Contains("expected"));
  }
}

TEST_CASE("A header without examples is refused") {
  CHECK_THAT(Refusal(IdxHeader({0, 28, 28}, 0x0803)),
             Contains("shape is 0 x 28 x 28, expected at least one"));
  CHECK_THAT(Refusal(Gzip(IdxHeader({5, 0, 0xffffffff}, 0x0803))),
             Contains("expected at least one"));
}

TEST_CASE("An absurd header is refused before memory is taken") {
  for (const std::vector<uint32_t>& extents :
       {std::vector<uint32_t>{0xffffffff, 0xffffffff, 0xffffffff},
        {0x80000000, 2, 0x80000000},
        {1, 1, 0xffffffff},
        {100000000, 28, 28}}) {
    const std::string bytes = IdxHeader(extents, 0x0803) + "some";
    CHECK_THAT(Refusal(bytes), Contains("all that a file of its size"));
    CHECK_THAT(Refusal(Gzip(bytes)), Contains("all that a file of its size"));
  }
}

// Changes up to four bytes, and sometimes the length.
std::string Mutate(std::string bytes, Random& random) {
  const uint64_t changes = 1 + random.Below(4);
  for (uint64_t i = 0; i < changes; ++i) {
    bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
  }
  const uint64_t length = random.Below(8);
  if (length == 0) bytes.resize(random.Below(bytes.size() + 1));
  if (length == 1) bytes.append(1 + random.Below(20), '\x1f');
  return bytes;
}

TEST_CASE("No mutation of a plain file is accepted with another size") {
  const std::string valid = IdxFile(kShape, 256);
  Random random({11});
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string bytes = Mutate(valid, random);
    const absl::StatusOr<IdxArray> array = DecodeIdx(bytes, "x", 3);
    if (!array.ok()) continue;
    ++accepted;
    int64_t size = 1;
    for (int64_t extent : array->extents) size *= extent;
    REQUIRE(size + 16 == static_cast<int64_t>(bytes.size()));
    REQUIRE(array->bytes.size() + 16 == bytes.size());
  }
  CHECK(accepted > 1000);  // changed pixels are not for IDX to find
}

TEST_CASE("No mutation of a gzip file is accepted with another content") {
  const std::string valid = Gzip(IdxFile(kShape, 256));
  const std::vector<uint8_t> payload = Payload(60);
  Random random({12});
  for (int i = 0; i < 20000; ++i) {
    const absl::StatusOr<IdxArray> array =
        DecodeIdx(Mutate(valid, random), "x", 3);
    if (!array.ok()) continue;
    REQUIRE(array->extents == std::vector<int64_t>{5, 4, 3});
    REQUIRE(array->bytes == payload);
  }
}

TEST_CASE("No mutation inside of gzip data is accepted with another size") {
  const std::string valid = IdxFile(kShape, 256);
  Random random({13});
  for (int i = 0; i < 5000; ++i) {
    const std::string bytes = Mutate(valid, random);
    const absl::StatusOr<IdxArray> array = DecodeIdx(Gzip(bytes), "x", 3);
    if (!array.ok()) continue;
    REQUIRE(array->bytes.size() + 16 == bytes.size());
  }
}

}  // namespace
}  // namespace monsoon
