// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"

// What worker and server of one host say to each other about the memory that
// they share. The memory is cut into kSlots slots; a slot has room for an
// update and behind it for a reply, and serves one call at a time: the worker
// writes the update and says kCall, the server writes the reply and says
// kReply. Both come from one build: kHello says which.
namespace monsoon::shm {

// Enough to keep both ends busy, few enough to stay in cache.
inline constexpr uint32_t kSlots = 4;

struct Head {
  enum Kind : uint32_t {
    kHello = 0x6d6f6e32,  // "mon2"; `size`: bytes of the largest update
    kWelcome,             // the memory comes along
    kCall,                // behind it an ExchangeRequest without values
    kReply,               // behind it an ExchangeReply, or an error's text
    kCancel,
  };
  Kind kind = kHello;
  uint32_t slot = 0;
  uint32_t size = 0;  // kCall: of the update; kReply: of the reply; in bytes
  int32_t code = 0;   // kReply: absl::StatusCode
};

// From an update to its reply, and from a reply to the next slot's update.
inline size_t Stride(size_t bytes) {
  constexpr size_t kPage = 4096;
  return (bytes + kPage - 1) / kPage * kPage;
}
inline size_t MemoryBytes(size_t bytes) { return 2 * kSlots * Stride(bytes); }

// A packet in place: exchanges allocate nothing. Text may need more room.
class Packet {
 public:
  explicit Packet(const Head& head, absl::string_view body = {})
      : Packet(head, body.size()) {
    std::copy(body.begin(), body.end(), this->body());
  }
  Packet(const Head& head, const google::protobuf::MessageLite& message)
      : Packet(head, message.ByteSizeLong()) {
    message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(body()));
  }
  operator absl::string_view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  Packet(const Head& head, size_t body_size) : bytes_(sizeof head + body_size) {
    std::memcpy(bytes_.data(), &head, sizeof head);
  }
  char* body() { return bytes_.data() + sizeof(Head); }

  absl::InlinedVector<char, 512> bytes_;
};

// False: too short for a head.
inline bool Parse(absl::string_view packet, Head& head,
                  absl::string_view& body) {
  if (packet.size() < sizeof head) return false;
  std::memcpy(&head, packet.data(), sizeof head);
  body = packet.substr(sizeof head);
  return true;
}

}  // namespace monsoon::shm
