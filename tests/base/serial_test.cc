// SPDX-License-Identifier: Apache-2.0
#include "base/serial.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

namespace monsoon {
namespace {

using Catch::Matchers::Contains;

std::string Saved() {
  Flat values(3);
  values[1] = 2.5f;
  Writer writer;
  writer.Int(INT64_MIN);
  writer.Double(0.1);
  writer.String(absl::string_view("a\0b", 3));
  writer.Floats(values);
  writer.Counts({{0, 3}, {7, 1}});
  return writer.bytes();
}

absl::Status ReadAll(Reader& reader) {
  int64_t number = 0;
  double real = 0;
  std::string text;
  Flat values;
  absl::Status status = reader.Int(number);
  if (status.ok()) status = reader.Double(real);
  if (status.ok()) status = reader.String(text);
  std::map<int64_t, int64_t> counts;
  if (status.ok()) status = reader.Floats(values);
  if (status.ok()) status = reader.Counts(counts);
  if (status.ok()) status = reader.End();
  return status;
}

TEST_CASE("What was written is read back in the same order") {
  const std::string bytes = Saved();
  Reader reader(bytes);
  int64_t number = 0;
  REQUIRE(reader.Int(number).ok());
  CHECK(number == INT64_MIN);
  double real = 0;
  REQUIRE(reader.Double(real).ok());
  CHECK(real == 0.1);
  std::string text;
  REQUIRE(reader.String(text).ok());
  CHECK(text == std::string("a\0b", 3));
  Flat values;
  REQUIRE(reader.Floats(values).ok());
  REQUIRE(values.size() == 3);
  CHECK(values[1] == 2.5f);
  std::map<int64_t, int64_t> counts = {{1, 1}};  // forgotten
  REQUIRE(reader.Counts(counts).ok());
  CHECK(counts == std::map<int64_t, int64_t>{{0, 3}, {7, 1}});
  CHECK(reader.End().ok());
}

TEST_CASE("A histogram of a size that cannot be is refused") {
  const int64_t size = GENERATE(int64_t{-1}, int64_t{2}, INT64_MAX);
  Writer writer;
  for (const int64_t value : {size, int64_t{1}, int64_t{2}}) writer.Int(value);
  Reader reader(writer.bytes());
  std::map<int64_t, int64_t> counts;
  const absl::Status read = reader.Counts(counts);
  CHECK(absl::IsDataLoss(read));
  CHECK_THAT(std::string(read.message()), Contains("a histogram"));
}

TEST_CASE("Infinity and NaN survive") {
  Writer writer;
  writer.Double(-std::numeric_limits<double>::infinity());
  writer.Double(std::nan(""));
  Reader reader(writer.bytes());
  double real = 0;
  REQUIRE(reader.Double(real).ok());
  CHECK(real == -std::numeric_limits<double>::infinity());
  REQUIRE(reader.Double(real).ok());
  CHECK(std::isnan(real));
}

TEST_CASE("A state cut short anywhere is data loss") {
  const std::string bytes = Saved();
  for (size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    Reader reader(absl::string_view(bytes).substr(0, size));
    REQUIRE(absl::IsDataLoss(ReadAll(reader)));
  }
}

TEST_CASE("A state with bytes too many is data loss") {
  const std::string bytes = Saved() + "x";
  Reader reader(bytes);
  const absl::Status status = ReadAll(reader);
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()), Contains("1 bytes too many"));
}

TEST_CASE("Lengths that lie take no memory and read nothing") {
  for (int64_t length :
       {int64_t{-1}, INT64_MIN, INT64_MAX, int64_t{9}, int64_t{1} << 62}) {
    CAPTURE(length);
    Writer writer;
    writer.Int(length);
    writer.Int(0);
    std::string text;
    Reader for_text(writer.bytes());
    CHECK(absl::IsDataLoss(for_text.String(text)));
    Flat values;
    Reader for_floats(writer.bytes());
    CHECK(absl::IsDataLoss(for_floats.Floats(values)));
    CHECK(values.empty());
  }
}

TEST_CASE("Floats of another size than expected are refused") {
  Flat values(3);
  Writer writer;
  writer.Floats(values);
  Flat other(4);
  Reader reader(writer.bytes());
  const absl::Status status = reader.Floats(other);
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()),
             Contains("3 floats where 4 are expected"));
}

}  // namespace
}  // namespace monsoon
