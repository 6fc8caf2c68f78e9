// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "transport/address.h"

// Whether there is a way to a port, and if not why not: where gRPC only says
// that it found none.
namespace monsoon {

// An address of a host, in numbers.
struct SocketAddress {
  sockaddr_storage address;
  socklen_t size;
  std::string text;  // without the port
};

// All of a host, at least one. NOT_FOUND with the resolver's words;
// DEADLINE_EXCEEDED when it takes longer, it then goes on by itself.
absl::StatusOr<std::vector<SocketAddress>> Resolve(const Address& address,
                                                   absl::Duration timeout,
                                                   Clock& clock);

struct Reached {
  std::string problem;  // empty: there was a connection
  std::string advice;   // what to do about it
};
// Tries one after the other, each for its part of `timeout`, and closes what
// it opens. REQUIRES: at least one.
Reached Connect(const std::vector<SocketAddress>& addresses,
                absl::Duration timeout);

}  // namespace monsoon
