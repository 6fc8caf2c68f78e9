// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc_message.h"

#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/flat.h"
#include "base/status_macros.h"
#include "proto/wire.h"
#include "transport/status.h"

namespace monsoon {

static_assert(std::endian::native == std::endian::little,
              "floats travel little-endian and are copied as they are");

grpc::Slice NewPayload(size_t bytes) {
  return grpc::Slice(
      HeapMemory().Allocate(bytes), bytes,
      [](void* memory, size_t size) { HeapMemory().Deallocate(memory, size); });
}

absl::Span<char> BytesOf(const grpc::Slice& slice) {
  return {reinterpret_cast<char*>(const_cast<uint8_t*>(slice.begin())),
          slice.size()};
}

grpc::ByteBuffer WriteMessage(const google::protobuf::MessageLite& message,
                              const grpc::Slice& payload) {
  const grpc::Slice slices[] = {
      grpc::Slice(EncodeHead(message, payload.size())), payload};
  return grpc::ByteBuffer(slices, payload.size() == 0 ? 1 : 2);
}

absl::Status ReceivedMessage::Read(const grpc::ByteBuffer& buffer,
                                   google::protobuf::MessageLite& message) {
  // An empty message may come as a buffer that holds nothing at all.
  if (buffer.Valid()) RETURN_IF_ERROR(FromGrpc(buffer.Dump(&slices_)));
  std::vector<absl::string_view> pieces;
  for (const grpc::Slice& slice : slices_) {
    pieces.emplace_back(reinterpret_cast<const char*>(slice.begin()),
                        slice.size());
  }
  RETURN_IF_ERROR(Decode(pieces, message, payload_));
  size_ = 0;
  for (absl::string_view piece : payload_) size_ += piece.size();
  return absl::OkStatus();
}

void ReceivedMessage::CopyTo(absl::Span<char> bytes) const {
  MONSOON_CHECK(bytes.size() == size_, "there is room for every value");
  char* to = bytes.data();
  for (absl::string_view piece : payload_) {
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
}

}  // namespace monsoon
