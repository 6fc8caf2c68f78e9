// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/flat.h"

namespace monsoon {

// Builds the bytes of a saved state: fixed-width little-endian numbers, and
// strings and floats behind their length. What lies on a device comes by way of
// the host: from one that has failed, it is unknown. Not thread-safe.
class Writer {
 public:
  void Int(int64_t value);
  void Double(double value);
  void String(absl::string_view value);
  void Floats(const Flat& values);
  // A histogram: a value -> how often it came.
  void Counts(const std::map<int64_t, int64_t>& counts);

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Reads them back in the same order. A short or foreign input gives DATA_LOSS
// saying where; nothing is read past the end. Not thread-safe.
class Reader {
 public:
  // `bytes` outlives the reader.
  explicit Reader(absl::string_view bytes)
      : rest_(bytes), size_(bytes.size()) {}

  absl::Status Int(int64_t& value);
  absl::Status Double(double& value);
  absl::Status String(std::string& value);
  // An empty `values` is made anew, of `memory`; else the size must be the
  // same.
  absl::Status Floats(Flat& values, MemoryResource& memory = HeapMemory());
  absl::Status Counts(std::map<int64_t, int64_t>& counts);
  // Everything was read.
  absl::Status End() const;

 private:
  absl::Status Take(size_t bytes, const char* what, absl::string_view& taken);

  absl::string_view rest_;
  size_t size_;
};

}  // namespace monsoon
