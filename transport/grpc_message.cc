// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc_message.h"

#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/flat.h"
#include "base/status_macros.h"
#include "proto/wire.h"
#include "transport/status.h"

namespace monsoon {

static_assert(std::endian::native == std::endian::little,
              "floats travel little-endian and are copied as they are");

grpc::Slice NewFloats(size_t floats) {
  const size_t bytes = floats * sizeof(float);
  return grpc::Slice(
      HeapMemory().Allocate(bytes), bytes,
      [](void* memory, size_t size) { HeapMemory().Deallocate(memory, size); });
}

absl::Span<float> FloatsOf(const grpc::Slice& slice) {
  return {reinterpret_cast<float*>(const_cast<uint8_t*>(slice.begin())),
          slice.size() / sizeof(float)};
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
  size_t bytes = 0;
  for (absl::string_view piece : payload_) bytes += piece.size();
  if (bytes % sizeof(float) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "values has ", bytes, " bytes; expected float32, 4 bytes each"));
  }
  size_ = bytes / sizeof(float);
  return absl::OkStatus();
}

void ReceivedMessage::CopyTo(absl::Span<float> floats) const {
  MONSOON_CHECK(floats.size() == size_, "there is room for every value");
  char* to = reinterpret_cast<char*>(floats.data());
  for (absl::string_view piece : payload_) {
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
}

}  // namespace monsoon
