// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"

namespace monsoon {

// The exchange messages on the wire, their payload kept outside protobuf: the
// bytes are exactly the protobuf encoding of the published schema, in which
// `bytes values = 100` is the last field.

// The largest payload of one message; receive limits allow a little more.
inline constexpr size_t kMaxPayloadBytes = size_t{4} << 20;

// The bytes in front of a payload of `payload_bytes`: the message without its
// values, then the tag and the length of `values` (nothing when it is empty).
std::string EncodeHead(const google::protobuf::MessageLite& message,
                       size_t payload_bytes);

// Finds the payload in a message that lies in `slices` (cut at any byte, as a
// network delivers them), fills `message` with everything else, and `payload`
// with pieces of the slices. Takes the fields in any order. INVALID_ARGUMENT
// when the bytes are no such message.
absl::Status Decode(absl::Span<const absl::string_view> slices,
                    google::protobuf::MessageLite& message,
                    std::vector<absl::string_view>& payload);

}  // namespace monsoon
