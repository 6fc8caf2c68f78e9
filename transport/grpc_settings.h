// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "proto/wire.h"

namespace monsoon {

// How both ends set gRPC up: nothing is left to its defaults that a job of
// hours or a message of 4 MiB would notice.

// The largest message either end accepts: one payload and what precedes it.
inline constexpr int kMaxMessageBytes = (64 << 10) + int{kMaxPayloadBytes};

// Calls that a server takes at once of one connection; more wait their turn at
// the client. What a connection can cost a server is bounded by it; a worker of
// ours has a handful.
inline constexpr int kMaxCalls = 100;

// Channel arguments by name, the same on both sides.
std::map<std::string, int> CommonSettings();
std::map<std::string, int> ServerSettings();
std::map<std::string, int> ClientSettings();

// Sets a process up for gRPC. Its C core does not write to stderr, as what
// fails comes back as a status (whoever wants its log sets the environment
// variable GRPC_VERBOSITY). Memory of messages that was freed is kept for the
// next ones, where glibc would give it back to the kernel and fault it in again
// page by page. Abseil's mutexes do not look for deadlocks, as Debian's build
// of them does at every lock. Call it first in main, before any thread and any
// other use of gRPC.
void PrepareGrpc();

}  // namespace monsoon
