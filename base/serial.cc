// SPDX-License-Identifier: Apache-2.0
#include "base/serial.h"

#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/device_queue.h"
#include "base/status_macros.h"

namespace monsoon {

static_assert(std::endian::native == std::endian::little,
              "saved states and wire payloads are little-endian");

void Writer::Int(int64_t value) {
  bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void Writer::Double(double value) { Int(std::bit_cast<int64_t>(value)); }

void Writer::String(absl::string_view value) {
  Int(static_cast<int64_t>(value.size()));
  bytes_.append(value.data(), value.size());
}

void Writer::Floats(const Flat& values) {
  if (values.queue() != nullptr) return Floats(values.ToHost());
  Int(values.size());
  bytes_.append(reinterpret_cast<const char*>(values.data()),
                static_cast<size_t>(values.size()) * sizeof(float));
}

void Writer::Counts(const std::map<int64_t, int64_t>& counts) {
  Int(static_cast<int64_t>(counts.size()));
  for (const auto& [value, count] : counts) {
    Int(value);
    Int(count);
  }
}

absl::Status Reader::Take(size_t bytes, const char* what,
                          absl::string_view& taken) {
  if (bytes > rest_.size()) {
    return absl::DataLossError(absl::StrCat(
        "saved state ends early: ", what, " at byte ", size_ - rest_.size(),
        " needs ", bytes, " bytes, found ", rest_.size()));
  }
  taken = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  return absl::OkStatus();
}

absl::Status Reader::Int(int64_t& value) {
  absl::string_view taken;
  RETURN_IF_ERROR(Take(sizeof(value), "a number", taken));
  std::memcpy(&value, taken.data(), sizeof(value));
  return absl::OkStatus();
}

absl::Status Reader::Double(double& value) {
  int64_t bits = 0;
  RETURN_IF_ERROR(Int(bits));
  value = std::bit_cast<double>(bits);
  return absl::OkStatus();
}

absl::Status Reader::String(std::string& value) {
  int64_t length = 0;
  RETURN_IF_ERROR(Int(length));
  absl::string_view taken;
  RETURN_IF_ERROR(Take(static_cast<size_t>(length), "a string", taken));
  value.assign(taken.data(), taken.size());
  return absl::OkStatus();
}

absl::Status Reader::Floats(Flat& values, MemoryResource& memory) {
  int64_t count = 0;
  RETURN_IF_ERROR(Int(count));
  if (!values.empty() && count != values.size()) {
    return absl::DataLossError(absl::StrCat("saved state holds ", count,
                                            " floats where ", values.size(),
                                            " are expected"));
  }
  absl::string_view taken;
  // A negative count becomes huge here and is refused by Take.
  if (static_cast<uint64_t>(count) > rest_.size() / sizeof(float)) {
    return Take(rest_.size() + 1, "a vector", taken);
  }
  const size_t bytes = static_cast<size_t>(count) * sizeof(float);
  RETURN_IF_ERROR(Take(bytes, "a vector", taken));
  if (values.empty()) values = Flat(count, memory);
  if (values.queue() != nullptr) {
    values.queue()->Copy(values.data(), taken.data(), bytes);
  } else if (bytes > 0) {
    std::memcpy(values.data(), taken.data(), bytes);
  }
  return absl::OkStatus();
}

absl::Status Reader::Counts(std::map<int64_t, int64_t>& counts) {
  int64_t size = 0;
  RETURN_IF_ERROR(Int(size));
  counts.clear();
  // A negative size becomes huge here and is refused by Take.
  if (static_cast<uint64_t>(size) > rest_.size() / (2 * sizeof(int64_t))) {
    absl::string_view taken;
    return Take(rest_.size() + 1, "a histogram", taken);
  }
  for (int64_t i = 0; i < size; ++i) {
    int64_t value = 0;
    RETURN_IF_ERROR(Int(value));
    RETURN_IF_ERROR(Int(counts[value]));
  }
  return absl::OkStatus();
}

absl::Status Reader::End() const {
  if (rest_.empty()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("saved state has ", rest_.size(), " bytes too many"));
}

}  // namespace monsoon
