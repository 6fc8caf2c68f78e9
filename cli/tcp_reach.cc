// SPDX-License-Identifier: Apache-2.0
#include "cli/tcp_reach.h"

#include <netdb.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "transport/local_socket.h"

namespace monsoon {
namespace {

// What the resolver finds: owned by the thread that asks it and by whoever
// waits, who may go first.
struct Lookup {
  std::unique_ptr<Event> done;
  int error = 0;  // of getaddrinfo
  std::vector<SocketAddress> found;
};

void LookUp(const Address& address, Lookup& lookup) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  lookup.error = ::getaddrinfo(
      address.host.c_str(), absl::StrCat(address.port).c_str(), &hints, &list);
  if (lookup.error != 0) return;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    SocketAddress found{};
    std::memcpy(&found.address, one->ai_addr, one->ai_addrlen);
    found.size = one->ai_addrlen;
    char text[NI_MAXHOST] = {};
    ::getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0,
                  NI_NUMERICHOST);
    found.text = text;
    lookup.found.push_back(std::move(found));
  }
  ::freeaddrinfo(list);
}

// errno's value; 0: there was a connection.
int Try(const SocketAddress& to, absl::Duration timeout) {
  const Descriptor socket(
      ::socket(to.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.open()) return errno;
  const timeval time = absl::ToTimeval(timeout);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  const bool connected =
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to.address),
                to.size) == 0;
  return connected ? 0 : errno;
}

}  // namespace

absl::StatusOr<std::vector<SocketAddress>> Resolve(const Address& address,
                                                   absl::Duration timeout,
                                                   Clock& clock) {
  auto lookup = std::make_shared<Lookup>();
  lookup->done = clock.NewEvent();
  // Nothing ends a call of the resolver before it has given up itself.
  std::thread([address, lookup] {
    LookUp(address, *lookup);
    lookup->done->Set();
  }).detach();
  if (!lookup->done->Wait(clock.Now() + timeout)) {
    return absl::DeadlineExceededError(
        absl::StrFormat("the name \"%s\" was not resolved within %.3g s",
                        address.host, absl::ToDoubleSeconds(timeout)));
  }
  if (lookup->error != 0 || lookup->found.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "the name \"", address.host, "\": ", ::gai_strerror(lookup->error)));
  }
  return std::move(lookup->found);
}

Reached Connect(const std::vector<SocketAddress>& addresses,
                absl::Duration timeout) {
  const absl::Duration each =
      std::max(timeout / static_cast<int64_t>(addresses.size()),
               absl::Milliseconds(1));  // 0 would mean for ever
  int error = 0;
  for (const SocketAddress& address : addresses) {
    error = Try(address, each);
    if (error == 0) return {};
  }
  if (error == ECONNREFUSED) {
    return {"refused: nobody listens there",
            "start monsoon-server there; one that is to be reached from other "
            "hosts needs --listen 0.0.0.0:PORT, as its default is for its own "
            "host alone"};
  }
  if (error == EINPROGRESS || error == EAGAIN || error == ETIMEDOUT) {
    return {absl::StrFormat("no answer within %.3g s",
                            absl::ToDoubleSeconds(timeout)),
            "see that the host is up (ping) and that no firewall drops "
            "connections to the port"};
  }
  return {std::strerror(error),
          "see that this machine has a way there (`ip route get` and the "
          "address)"};
}

}  // namespace monsoon
