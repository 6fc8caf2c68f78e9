// SPDX-License-Identifier: Apache-2.0
#include "transport/local_socket.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

constexpr int kBacklog = 128;
constexpr int kConnectSeconds = 5;  // that a full backlog is waited for
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// A name that begins with a zero byte is no path.
struct LocalAddress {
  static absl::StatusOr<LocalAddress> Of(absl::string_view name) {
    if (name.size() + 1 < sizeof address.sun_path) return LocalAddress(name);
    return absl::InvalidArgumentError(
        absl::StrCat("the name of a local socket has ", name.size(),
                     " bytes, expected at most ", sizeof address.sun_path - 2));
  }
  explicit LocalAddress(absl::string_view name) {
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 +
                                  name.size());
  }
  const sockaddr* generic() const {
    return reinterpret_cast<const sockaddr*>(&address);
  }

  sockaddr_un address{};
  socklen_t size = 0;
};

Descriptor NewSocket() {
  return Descriptor(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
}

void SetTimeout(const Descriptor& socket, int option, int seconds) {
  const timeval time = {.tv_sec = seconds, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, option, &time, sizeof time);
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

Descriptor::~Descriptor() {
  if (open()) ::close(number_);
}

absl::StatusOr<SharedMemory> SharedMemory::Create(size_t bytes) {
  SharedMemory memory;
  memory.descriptor_ =
      Descriptor(::memfd_create("monsoon", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.descriptor_.open()) {
    return absl::ErrnoToStatus(errno, "cannot make memory to be shared");
  }
  int error = 0;
  do {
    error = ::posix_fallocate(memory.descriptor_.get(), 0,
                              static_cast<off_t>(bytes));
  } while (error == EINTR);
  if (error != 0) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "cannot share ", bytes, " bytes of memory: ", std::strerror(error)));
  }
  if (::fcntl(memory.descriptor_.get(), F_ADD_SEALS, kSeals) != 0) {
    return absl::ErrnoToStatus(errno, "cannot fix the size of shared memory");
  }
  RETURN_IF_ERROR(memory.Attach(bytes));
  return memory;
}

absl::StatusOr<SharedMemory> SharedMemory::Map(Descriptor descriptor,
                                               size_t bytes) {
  SharedMemory memory;
  memory.descriptor_ = std::move(descriptor);
  const int number = memory.descriptor_.get();
  struct stat about {};
  if (::fstat(number, &about) != 0 ||
      about.st_size != static_cast<off_t>(bytes) ||
      (::fcntl(number, F_GET_SEALS) & kSeals) != kSeals) {
    return absl::InvalidArgumentError(
        absl::StrCat("shared memory: found ", about.st_size,
                     " bytes, expected ", bytes, " of fixed size"));
  }
  RETURN_IF_ERROR(memory.Attach(bytes));
  return memory;
}

absl::Status SharedMemory::Attach(size_t bytes) {
  void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_POPULATE, descriptor_.get(), 0);
  if (mapped == MAP_FAILED) {
    return absl::ErrnoToStatus(errno, "cannot map shared memory");
  }
  data_ = static_cast<std::byte*>(mapped);
  size_ = bytes;
  return absl::OkStatus();
}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

absl::StatusOr<Descriptor> ListenLocal(absl::string_view name) {
  Descriptor socket = NewSocket();
  ASSIGN_OR_RETURN(const LocalAddress address, LocalAddress::Of(name));
  if (!socket.open() ||
      ::bind(socket.get(), address.generic(), address.size) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("cannot listen on the local socket @", name));
  }
  return socket;
}

absl::StatusOr<Descriptor> ConnectLocal(absl::string_view name) {
  Descriptor socket = NewSocket();
  SetTimeout(socket, SO_SNDTIMEO, kConnectSeconds);
  ASSIGN_OR_RETURN(const LocalAddress address, LocalAddress::Of(name));
  if (!socket.open() ||
      ::connect(socket.get(), address.generic(), address.size) != 0) {
    return absl::NotFoundError(
        absl::StrCat("nobody listens on the local socket @", name, ": ",
                     absl::ErrnoToStatus(errno, "").message()));
  }
  return socket;
}

absl::StatusOr<Descriptor> AcceptLocal(const Descriptor& listener) {
  const int number = ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
  if (number >= 0) return Descriptor(number);
  if (errno == EINVAL) return absl::CancelledError("the listener has ended");
  return absl::ErrnoToStatus(errno, "cannot accept a local connection");
}

void SetReceiveTimeout(const Descriptor& socket, int seconds) {
  SetTimeout(socket, SO_RCVTIMEO, seconds);
}

void ShutDown(const Descriptor& socket) { ::shutdown(socket.get(), SHUT_RDWR); }

bool SendPacket(const Descriptor& socket, absl::string_view packet,
                int passed) {
  iovec part = {const_cast<char*>(packet.data()), packet.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof passed)] = {};
  if (passed >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof passed);
    std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(packet.size());
}

absl::string_view ReceivePacket(const Descriptor& socket,
                                absl::Span<char> buffer, Descriptor* passed) {
  iovec part = {buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  // Without room for them the kernel drops what descriptors come along.
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (passed != nullptr) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
  }
  ssize_t received = 0;
  do {
    received = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  const cmsghdr* header = received < 0 ? nullptr : CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    // Padding has room for a second one, which nobody wants.
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(header) + i * sizeof number,
                  sizeof number);
      *passed = Descriptor(number);
    }
  }
  // What was cut off is no packet of ours.
  if (received <= 0 || (message.msg_flags & MSG_TRUNC) != 0) return {};
  return {buffer.data(), static_cast<size_t>(received)};
}

}  // namespace monsoon
