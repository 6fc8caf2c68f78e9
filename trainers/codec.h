// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/flat.h"
#include "trainers/device_codec.h"

namespace monsoon {

// How floats travel in fewer bytes, with error feedback (Seide et al. 2014,
// 1-bit SGD; Karimireddy et al. 2019, arXiv:1901.09847): what a message loses
// is added to the next one, so that sent + residual is the sum of what was to
// be sent. The codes, for n floats:
//
//   bf16           2n bytes; rounds to nearest even, and what would become
//                  infinite to the largest number
//   fp16           likewise
//   int8           n + 4 for each block of 256: scales s = max|v| / 127, then
//                  v / s rounded to nearest even
//   onebit         n / 8 + 4 for each block of 256: scales s = mean|v|, then
//   the
//                  sign bits, lowest first; v becomes s with its sign
//   topk:FRACTION  8k: the indices of the k = FRACTION n largest |v| (the first
//                  of equals), increasing, then their values
//
// Where a code would take as many bytes as float32, values travel as float32.
// Everything little-endian. A message has a fixed size, and does not depend on
// the machine. Immutable, thread-safe.
class Codec {
 public:
  virtual ~Codec() = default;

  // As MakeCodec takes it.
  const std::string& name() const { return name_; }
  // Has values only for some of the floats, or only their signs: legal for
  // gradients and deltas alone, of which the rest is zero or follows later.
  bool is_sparse() const { return is_sparse_; }

  // Bytes of n floats.
  size_t Bytes(int64_t n) const;
  // Writes values + residual; the residual becomes what got lost of that. A
  // value that is not finite makes a message that Decode refuses, or of values
  // that are not finite. `to` has Bytes(n) bytes, aligned as floats. All three
  // lie in one memory: of a device, they are written when its works are done.
  void Encode(const Flat& values, Flat& residual, absl::Span<char> to) const;
  // INVALID_ARGUMENT, and anything in `values`, for bytes that Encode cannot
  // have written for that many floats: names the place and what it found. On a
  // device: of bytes there or on the host, by way of the host, waits, and fails
  // as the device does.
  absl::Status Decode(absl::Span<const char> from, Flat& values) const;

 protected:
  Codec(std::string name, bool is_sparse)
      : name_(std::move(name)), is_sparse_(is_sparse) {}

 private:
  virtual size_t CodedBytes(int64_t n) const = 0;
  virtual void Write(const Flat& values, Flat& residual, char* to) const = 0;
  virtual absl::Status Read(const char* from, Flat& values) const = 0;
  virtual void WriteThere(const DeviceCodec& device, DeviceQueue& queue,
                          const DeviceMessage& message) const = 0;

  const std::string name_;
  const bool is_sparse_;
};

// Null for "fp32", which needs none. INVALID_ARGUMENT names what is
// accepted.
absl::StatusOr<std::unique_ptr<const Codec>> MakeCodec(absl::string_view name);

}  // namespace monsoon
