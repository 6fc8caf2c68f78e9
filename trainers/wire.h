// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/flat.h"
#include "trainers/codec.h"

namespace monsoon {

// The codes of pushes and of replies, by name.
struct WireNames {
  std::string push = "fp32", reply = "fp32";
  // As ParseWire takes them.
  std::string text() const { return push == reply ? push : push + "," + reply; }
};
// "PUSH,REPLY", or one code for both; replies stay fp32 where that is a sparse
// one. INVALID_ARGUMENT for unknown codes.
absl::StatusOr<WireNames> ParseWire(absl::string_view text);

// What the two directions of a job's exchanges use: null is float32.
struct Wire {
  std::shared_ptr<const Codec> push, reply;
};

struct Traits;
// The codecs of these names, or INVALID_ARGUMENT where the trainer with these
// traits cannot have them.
absl::StatusOr<Wire> MakeWire(const WireNames& names, absl::string_view trainer,
                              const Traits& traits);

// A shard's values under a codec: parameters coded, statistics (batch norm) as
// they are behind them. Null codec: all as they are.
class ShardCode {
 public:
  ShardCode(const Codec* codec, int64_t size, int64_t statistics)
      : codec_(codec),
        parameters_(size - statistics),
        statistics_(statistics) {}

  explicit operator bool() const { return codec_ != nullptr; }
  size_t bytes() const;
  // As Codec's, on devices too; `residual` has the shard's size. REQUIRES:
  // there is a codec.
  void Encode(const Flat& values, Flat& residual, absl::Span<char> to) const;
  absl::Status Decode(absl::Span<const char> from, Flat& values) const;

 private:
  const Codec* codec_;
  int64_t parameters_, statistics_;
};

}  // namespace monsoon
