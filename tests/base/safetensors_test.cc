// SPDX-License-Identifier: Apache-2.0
#include "base/safetensors.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/random.h"

namespace monsoon {
namespace {

using Catch::Matchers::Contains;

// A file of this header, as it stands, and `data_size` bytes.
std::string File(const std::string& header, size_t data_size) {
  const uint64_t size = header.size();
  std::string bytes(reinterpret_cast<const char*>(&size), sizeof(size));
  return bytes + header + std::string(data_size, '\0');
}

std::string Entry(const std::string& name, const std::string& shape, int begin,
                  int end) {
  return absl::StrCat("\"", name, "\":{\"dtype\":\"F32\",\"shape\":", shape,
                      ",\"data_offsets\":[", begin, ",", end, "]}");
}

// The code of the refusal, whose message holds `part`.
absl::StatusCode Refusal(const std::string& bytes, const std::string& part) {
  const absl::Status status = ParseSafetensors(bytes).status();
  CHECK_THAT(std::string(status.message()),
             Contains(part) && Contains("expected"));
  return status.code();
}

ParameterLayout TwoTensors() {
  ParameterLayout layout;
  layout.Add("a.weight", {2, 3}, TensorKind::kWeight);
  layout.Add("a.bias", {3}, TensorKind::kNoDecay);
  return layout;
}

Flat Counting(int64_t size) {
  Flat values(size);
  for (int64_t i = 0; i < size; ++i) values[i] = static_cast<float>(i) + 0.5f;
  return values;
}

TEST_CASE("The published example without tensors is read") {
  const std::string bytes("\x08\0\0\0\0\0\0\0{}      ", 16);
  const absl::StatusOr<SafetensorsFile> file = ParseSafetensors(bytes);
  REQUIRE(file.ok());
  CHECK(file->tensors.empty());
  CHECK(file->metadata.empty());
}

TEST_CASE("The published example of one tensor is read") {
  const std::string header =
      R"({"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}})";
  REQUIRE(header.size() == 64);
  const std::string bytes = File(header, 24);
  const absl::StatusOr<SafetensorsFile> file = ParseSafetensors(bytes);
  REQUIRE(file.ok());
  REQUIRE(file->tensors.size() == 1);
  CHECK(file->tensors[0].name == "attn.0");
  CHECK(file->tensors[0].shape == std::vector<int64_t>{1, 2, 3});
  CHECK(file->tensors[0].data.size() == 24);
}

TEST_CASE("A file is written as the format says, byte by byte") {
  ParameterLayout layout;
  layout.Add("attn.0", {1, 2, 3}, TensorKind::kWeight);
  const Flat values = Counting(6);
  const std::string bytes = EncodeSafetensors(layout, values);
  std::string header =
      R"({"__metadata__":{"format":"pt"},)"
      R"("attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}})";
  REQUIRE(header.size() % 8 != 0);
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string expected = File(header, 24);
  std::memcpy(&expected[expected.size() - 24], values.data(), 24);
  CHECK(bytes == expected);
}

TEST_CASE("What was written is read back, metadata included") {
  const ParameterLayout layout = TwoTensors();
  const Flat values = Counting(9);
  const std::string bytes = EncodeSafetensors(
      layout, values, {{"trainer", "adag"}, {"note", "\"quoted\"\n\xc3\xa9"}});
  const absl::StatusOr<SafetensorsFile> file = ParseSafetensors(bytes);
  REQUIRE(file.ok());
  CHECK(file->metadata ==
        std::map<std::string, std::string>{{"format", "pt"},
                                           {"note", "\"quoted\"\n\xc3\xa9"},
                                           {"trainer", "adag"}});
  Flat read(9);
  REQUIRE(CopyToFlat(*file, layout, read).ok());
  for (int64_t i = 0; i < 9; ++i) CHECK(read[i] == values[i]);
}

TEST_CASE("A given format is kept and bytes that are not UTF-8 replaced") {
  const std::string bytes = EncodeSafetensors(
      TwoTensors(), Counting(9), {{"format", "np"}, {"file", "a\xff"}});
  const absl::StatusOr<SafetensorsFile> file = ParseSafetensors(bytes);
  REQUIRE(file.ok());
  CHECK(file->metadata.at("format") == "np");
  CHECK(file->metadata.at("file") == "a\xef\xbf\xbd");
}

TEST_CASE("Scalars and tensors with an extent of 0 are allowed") {
  const std::string bytes = File(
      "{" + Entry("s", "[]", 0, 4) + "," + Entry("none", "[0,7]", 4, 4) + "}",
      4);
  const absl::StatusOr<SafetensorsFile> file = ParseSafetensors(bytes);
  REQUIRE(file.ok());
  CHECK(file->tensors[0].shape.empty());
  CHECK(file->tensors[1].data.empty());
}

TEST_CASE("Tensors are found whatever the order of header and data") {
  const std::string bytes = File("{" + Entry("a.weight", "[2,3]", 12, 36) +
                                     "," + Entry("a.bias", "[3]", 0, 12) + "}",
                                 36);
  const absl::StatusOr<SafetensorsFile> file = ParseSafetensors(bytes);
  REQUIRE(file.ok());
  CHECK(file->tensors[0].name == "a.bias");
  Flat values = Counting(9);
  CHECK(CopyToFlat(*file, TwoTensors(), values).ok());
  CHECK(values[8] == 0.0f);
}

TEST_CASE("A file that breaks a rule of the format is refused") {
  const auto two = [](int begin, int end) {
    return "{" + Entry("a", "[2]", 0, 8) + "," + Entry("b", "[2]", begin, end) +
           "}";
  };
  const std::vector<std::pair<std::string, std::string>> files = {
      {"", "size of the file is 0 bytes"},
      {"1234567", "size of the file is 7 bytes"},
      {File("", 0), "header is not a JSON object"},
      {File(" {}", 0), "header is not a JSON object"},
      {File("[]", 0), "header is not a JSON object"},
      {File("{", 0), "header is not a JSON object"},
      {File("{\"\xff\":1}", 0), "header is not a JSON object"},
      {File("{}x", 0), "header is not a JSON object"},
      {File("{}", 1), "size of the data is 1 bytes, expected 0"},
      {File(two(12, 20), 20), "tensor \"b\" is bytes 12 to 20, expected from"},
      {File(two(4, 12), 12), "tensor \"b\" is bytes 4 to 12, expected from 8"},
      {File(two(0, 8), 8), "is bytes 0 to 8, expected from 8"},
      {File(two(8, 16), 15), "within the 15 of the file"},
      {File(two(8, 16), 17), "size of the data is 17 bytes, expected 16"},
      {File(two(8, 20), 20), "bytes 8 to 20, expected the size of F32 [2]"},
      {File(two(16, 8), 16), "bytes 16 to 8, expected the size"},
      {File("{" + Entry("a", "[1]", 0, 4) + "," + Entry("a", "[1]", 4, 8) + "}",
            8),
       "holding \"a\" twice"},
      {File("{" + Entry("a", "[4611686018427387904,4]", 0, 0) + "}", 0),
       "expected the size of F32 [4611686018427387904, 4]"},
      {File("{" + Entry("a", "[18446744073709551615]", 0, 4) + "}", 4),
       "tensor \"a\" is not described so"},
      {File("{" + Entry("a", "[-1]", 0, 4) + "}", 4), "not described so"},
      {File("{" + Entry("a", "[1.0]", 0, 4) + "}", 4), "not described so"},
      {File("{" + Entry("a", "1", 0, 4) + "}", 4), "not described so"},
      {File("{\"a\":5}", 0), "not described so"},
      {File(R"({"a":{"dtype":"F32","shape":[]}})", 4), "not described so"},
      {File(R"({"__metadata__":{"a":1}})", 0), "expected only strings"},
      {File(R"({"__metadata__":"a"})", 0), "expected only strings"},
  };
  for (const auto& [bytes, part] : files) {
    CAPTURE(part);
    CHECK(Refusal(bytes, part) == absl::StatusCode::kDataLoss);
  }
}

TEST_CASE("A header size beyond the file or the limit is refused") {
  for (uint64_t size : {uint64_t{3}, uint64_t{100'000'001}, UINT64_MAX}) {
    std::string bytes(reinterpret_cast<const char*>(&size), sizeof(size));
    CHECK(Refusal(bytes + "{}", absl::StrCat("size of the header is ", size)) ==
          absl::StatusCode::kDataLoss);
  }
}

TEST_CASE("Another type than F32 is refused by name") {
  CHECK(Refusal(File(R"({"h":{"dtype":"BF16","shape":[2],)"
                     R"("data_offsets":[0,4]}})",
                     4),
                "tensor \"h\" has dtype BF16, expected F32") ==
        absl::StatusCode::kUnimplemented);
}

TEST_CASE("The first tensor that does not fit the layout is named") {
  const std::string weight = Entry("a.weight", "[2,3]", 0, 24);
  const std::string bias = Entry("a.bias", "[3]", 24, 36);
  const std::vector<std::pair<std::string, std::string>> files = {
      {File("{" + weight + "}", 24), "\"a.bias\" is missing, expected [3]"},
      {File("{" + Entry("a.weight", "[3,2]", 0, 24) + "," + bias + "}", 36),
       "\"a.weight\" is [3, 2], expected [2, 3]"},
      {File("{" + weight + "," + bias + "," + Entry("c", "[1]", 36, 40) + "}",
            40),
       "\"c\" is [1], expected no tensor of this name"}};
  for (const auto& [bytes, part] : files) {
    const absl::StatusOr<SafetensorsFile> file = ParseSafetensors(bytes);
    REQUIRE(file.ok());
    Flat values = Counting(9);
    const absl::Status status = CopyToFlat(*file, TwoTensors(), values);
    CHECK(absl::IsFailedPrecondition(status));
    CHECK_THAT(std::string(status.message()), Contains(part));
    CHECK(values[0] == 0.5f);
  }
}

TEST_CASE("No mutation of a file makes the reader leave it") {
  const std::string valid =
      EncodeSafetensors(TwoTensors(), Counting(9), {{"a", "b"}});
  Random random({21});
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = valid;
    const uint64_t changes = 1 + random.Below(3);
    for (uint64_t c = 0; c < changes; ++c) {
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
    }
    if (random.Below(4) == 0) bytes.resize(random.Below(bytes.size() + 1));
    const absl::StatusOr<SafetensorsFile> file = ParseSafetensors(bytes);
    if (!file.ok()) continue;
    ++accepted;
    size_t size = 0;
    for (const SafetensorsFile::Tensor& tensor : file->tensors) {
      REQUIRE(tensor.data.data() >= bytes.data());
      size += tensor.data.size();
    }
    REQUIRE(size == 36);  // as many bytes as there are behind the header
    Flat values(9);
    CopyToFlat(*file, TwoTensors(), values).IgnoreError();
  }
  CHECK(accepted > 100);  // changed values and names are a valid file
}

}  // namespace
}  // namespace monsoon
