// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "transport/local_socket.h"
#include "transport/server_calls.h"

namespace monsoon {

// Carries exchanges with workers of this host through memory that is shared
// with each of them, and calls `calls`, which outlives it: updates are read
// where the worker has written them, replies written where it reads them.
// Everything else goes over gRPC. One thread per worker.
//
// A worker has 8 times the bytes of its largest shard, none before it connects;
// memory and thread end with its connection, whatever becomes of its process.
// What makes no sense ends the connection it came by, and nothing else. A
// worker is trusted not to change an update while it is applied.
class ShmServer {
 public:
  // Listens on the local socket `name`.
  static absl::StatusOr<std::unique_ptr<ShmServer>> Start(ServerCalls& calls,
                                                          std::string name,
                                                          Clock& clock);
  // Cancels the calls in flight and waits until they have finished.
  ~ShmServer();

  // For ServerOptions::local_socket.
  const std::string& name() const { return name_; }

 private:
  class Connection;

  ShmServer(ServerCalls& calls, std::string name, Clock& clock,
            Descriptor listener);
  void Accept();

  ServerCalls& calls_;
  const std::string name_;
  Clock& clock_;
  const Descriptor listener_;
  std::list<std::unique_ptr<Connection>> connections_;  // Accept's
  std::thread acceptor_;
};

}  // namespace monsoon
