// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"

namespace monsoon {

// Exchange messages as gRPC carries them: raw slices, see proto/wire.h.

// Memory for `bytes` >= 1 bytes, aligned to 64, not initialized. Freed with the
// last copy of the slice, on whatever thread holds that.
grpc::Slice NewPayload(size_t bytes);
// The memory of a slice that NewPayload made; none for an empty slice.
absl::Span<char> BytesOf(const grpc::Slice& slice);

// `message` followed by `payload` as its values. Shares the payload's memory.
grpc::ByteBuffer WriteMessage(const google::protobuf::MessageLite& message,
                              const grpc::Slice& payload);

// A message that came from the network, its payload still in the slices.
class ReceivedMessage {
 public:
  ReceivedMessage() = default;
  // Pieces of the payload may lie inside the slices themselves.
  ReceivedMessage(const ReceivedMessage&) = delete;
  ReceivedMessage& operator=(const ReceivedMessage&) = delete;

  // Fills `message` with all but the values. INVALID_ARGUMENT for bytes that
  // are no such message.
  absl::Status Read(const grpc::ByteBuffer& buffer,
                    google::protobuf::MessageLite& message);
  // Bytes of the values.
  size_t size() const { return size_; }
  // Copies them. REQUIRES: as many as size() says.
  void CopyTo(absl::Span<char> bytes) const;

 private:
  std::vector<grpc::Slice> slices_;
  std::vector<absl::string_view> payload_;
  size_t size_ = 0;
};

}  // namespace monsoon
