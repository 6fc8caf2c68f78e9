// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <thread>

#include "absl/time/time.h"

namespace monsoon {

// A bad network between real sockets of this machine: forwards what comes to
// its port to a server's, and does to it what its plan says. What happens to
// the nth connection, and after which byte, follows from the seed alone; so
// give every client its own proxy where that is to be the same in each run.
// One thread; the methods may be called from any.
class TcpProxy {
 public:
  enum Fault {
    kReset,      // both ends, in the middle of whatever they were saying
    kClose,      // likewise, politely
    kHalfClose,  // one way ends, the other goes on
    kStall,      // one way waits
    kTrickle,    // one way goes on by a few bytes at a time
    kFaults
  };
  struct Plan {
    // Bytes from one fault to the next, each way: uniform up to this; 0: never.
    uint64_t most_bytes = 0;
    absl::Duration longest_stall = absl::Milliseconds(20);
    // Out of all faults drawn.
    std::array<int, kFaults> weights = {1, 1, 1, 1, 1};
  };

  // To 127.0.0.1:`server_port`.
  TcpProxy(int server_port, Plan plan, uint64_t seed);
  // Closes all connections.
  ~TcpProxy();

  int port() const { return port_; }
  int connections() const { return count_; }
  int happened(Fault fault) const {
    return happened_[static_cast<size_t>(fault)];
  }
  // Reads no more of what the server says, until told to go on: to the server,
  // a client that does not read.
  void HoldAnswers(bool hold);

 private:
  struct Way;
  struct Connection;

  void Run();
  void Accept();
  // Moves what can be moved; false: the connection is over.
  bool Serve(Connection& connection);
  bool Move(Way& way);
  bool Happen(Way& way);

  const int server_port_;
  const Plan plan_;
  const uint64_t seed_;
  int listener_ = -1;
  int bell_ = -1;  // an eventfd that interrupts the thread's waiting
  int port_ = 0;
  std::atomic<int> count_ = 0;
  std::array<std::atomic<int>, kFaults> happened_ = {};
  std::atomic<bool> holds_ = false;
  std::atomic<bool> ends_ = false;
  std::list<std::unique_ptr<Connection>> connections_;  // the thread's
  std::thread thread_;
};

}  // namespace monsoon
