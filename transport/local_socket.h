// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// What two processes of one host need to share memory: file descriptors, memory
// that has a descriptor and no name, and sockets that carry packets and
// descriptors.
namespace monsoon {

// A file descriptor that is closed with its owner. Move-only.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept { *this = std::move(other); }
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int get() const { return number_; }
  bool open() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

// Memory that processes share, mapped into this one. It has no name that could
// be left behind: it is gone with the last process that has it. Its size is
// fixed and its pages exist from the start, so that touching it cannot fail.
// Move-only.
class SharedMemory {
 public:
  SharedMemory() = default;
  // RESOURCE_EXHAUSTED when the system has not that much.
  static absl::StatusOr<SharedMemory> Create(size_t bytes);
  // Of another process. INVALID_ARGUMENT unless it has exactly this size and
  // can neither shrink nor grow.
  static absl::StatusOr<SharedMemory> Map(Descriptor descriptor, size_t bytes);
  SharedMemory(SharedMemory&& other) noexcept { *this = std::move(other); }
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  const Descriptor& descriptor() const { return descriptor_; }
  std::byte* data() { return data_; }

 private:
  absl::Status Attach(size_t bytes);

  Descriptor descriptor_;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Sockets by names that exist in this network namespace alone and have no file.
// They carry packets of at most kMaxPacketBytes, whole or not at all.
inline constexpr size_t kMaxPacketBytes = 16 << 10;

absl::StatusOr<Descriptor> ListenLocal(absl::string_view name);
// NOT_FOUND, with the cause, when that cannot be; waits for 5 s at most.
// INVALID_ARGUMENT, for both, when the name has more than 106 bytes.
absl::StatusOr<Descriptor> ConnectLocal(absl::string_view name);
// Blocks. CANCELLED once the listener was shut down; other failures may pass.
absl::StatusOr<Descriptor> AcceptLocal(const Descriptor& listener);
// What blocks on receiving from it ends after that long; 0: never.
void SetReceiveTimeout(const Descriptor& socket, int seconds);
// Ends what blocks on it, here and at the other end.
void ShutDown(const Descriptor& socket);

// Never blocks: false when the other end is gone or does not read. `passed`: a
// descriptor for the other end, or -1.
bool SendPacket(const Descriptor& socket, absl::string_view packet,
                int passed = -1);
// Blocks. The part of `buffer` that was filled; empty when the other end is
// gone, or at the socket's timeout. `passed` becomes the descriptor that came
// along, if one did.
absl::string_view ReceivePacket(const Descriptor& socket,
                                absl::Span<char> buffer,
                                Descriptor* passed = nullptr);

}  // namespace monsoon
