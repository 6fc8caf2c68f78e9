// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/event.h"
#include "transport/address.h"
#include "transport/local_socket.h"

namespace monsoon {

// What is answered to a request.
struct HttpAnswer {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  // Where there is one, instead of the body: gives one piece after the other,
  // each sent at once, until it returns false with its last. Called on one
  // thread; gone when the answer is, or who reads it.
  std::function<bool(std::string& piece)> more;
};

// Answers GET and HEAD over HTTP, one request a connection, each on a thread
// of its own. Whatever comes from the network costs bounded memory, threads,
// descriptors and time: requests are at most kMostHeadBytes; from
// kMostConnections on, those that have not asked yet make room, the oldest
// first, and beyond twice that nobody comes in; who reads nothing is given up.
// Where it listens on a loopback address, only hosts that are addresses or
// localhost are answered, so that no page of elsewhere can read it under a name
// of its own.
class HttpServer {
 public:
  static constexpr int kMostConnections = 64;
  static constexpr size_t kMostHeadBytes = 16 << 10;

  // What answers a path; from any of the threads.
  using Handler = std::function<HttpAnswer(const std::string& path)>;

  // Port 0 takes any free one. INVALID_ARGUMENT when this machine has no such
  // address, UNAVAILABLE when the port cannot be had. The clock outlives it.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      const Address& address, Handler handler, Clock& clock);
  // Who is being answered has kEndsWithin for the rest; all others go at once.
  ~HttpServer();

  // Where it listens, with its port.
  const Address& address() const { return address_; }

 private:
  class Library;
  class Connection;
  class ClientStream;

  static constexpr absl::Duration kEndsWithin = absl::Milliseconds(500);

  HttpServer(Address address, Descriptor socket, bool is_loopback,
             Handler handler, Clock& clock);
  void Accept();
  // Makes room for one more; false when all that there are have to stay.
  bool MakeRoom();
  // False when the system has no thread for it.
  bool Serve(Descriptor socket);

  const Address address_;
  Clock& clock_;
  const Descriptor socket_;
  const std::unique_ptr<Event> stop_;
  const std::unique_ptr<Library> library_;
  // Of the accepting thread, and of the destructor after it; oldest first.
  std::list<std::unique_ptr<Connection>> connections_;
  std::thread thread_;
};

}  // namespace monsoon
