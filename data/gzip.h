// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace monsoon {

using ByteSink = absl::FunctionRef<absl::Status(absl::string_view)>;

// Inflates one gzip member, handing the bytes to `sink` piece by piece, so that
// a caller keeps no more of them than it wants. Returns their CRC-32, which has
// been compared with the one in the file. DATA_LOSS, naming `path`, for data
// that is truncated, damaged or longer than the member; `sink` may have seen
// some of it. A status of `sink` that is not OK stops and is returned.
absl::StatusOr<uint32_t> Gunzip(absl::string_view compressed,
                                absl::string_view path, ByteSink sink);

// No deflate stream inflates to more than this many times its size.
inline constexpr int64_t kMaxInflation = 1032;

}  // namespace monsoon
