// SPDX-License-Identifier: Apache-2.0
#include "watch/http_server.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace monsoon {
namespace {

// From the connection to the whole request, and for each piece of an answer.
constexpr absl::Duration kAsksWithin = absl::Seconds(5);
constexpr absl::Duration kReadsWithin = absl::Seconds(5);
// What is left unread when a connection is closed makes the other end lose the
// answer: so it is read, up to here.
constexpr absl::Duration kLingers = absl::Milliseconds(200);
constexpr size_t kMostLeftBytes = 1 << 20;
constexpr absl::Duration kAcceptPause = absl::Milliseconds(50);
// The kernel keeps those that come at once; beyond, connecting takes a second.
constexpr int kBacklog = 1024;

bool IsLoopback(const sockaddr& address) {
  if (address.sa_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
}

int PortOf(const Descriptor& socket) {
  sockaddr_storage bound = {};
  socklen_t size = sizeof(bound);
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size);
  // The port lies at the same place in both families.
  return ntohs(reinterpret_cast<const sockaddr_in&>(bound).sin_port);
}

// Bound and listening; not open, with errno, when that cannot be.
Descriptor Listen(const addrinfo& at) {
  Descriptor socket(
      ::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC, at.ai_protocol));
  if (!socket.open()) return socket;
  // What an earlier run has left behind in TIME_WAIT does not keep the port.
  const int yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (::bind(socket.get(), at.ai_addr, at.ai_addrlen) == 0 &&
      ::listen(socket.get(), kBacklog) == 0) {
    return socket;
  }
  const int why = errno;
  socket = Descriptor();
  errno = why;
  return socket;
}

// Whether a page of another site cannot have this name: an address, or
// localhost, which no resolver asks anybody for.
bool IsOwnName(absl::string_view host) {
  if (host.empty()) return true;  // HTTP/1.0 has none
  if (host.front() == '[') {
    host = host.substr(1, host.find(']') - 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  const std::string name(host);
  in6_addr address;
  return absl::EqualsIgnoreCase(host, "localhost") ||
         absl::EndsWithIgnoreCase(host, ".localhost") ||
         ::inet_pton(AF_INET, name.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

// Of a request only what is answered to: its first line, and its host. The rest
// (ranges, bodies, codings) never reaches a parser.
std::string Essence(absl::string_view head) {
  std::string kept;
  for (const absl::string_view line : absl::StrSplit(head, '\n')) {
    if (kept.empty() || absl::StartsWithIgnoreCase(line, "host:")) {
      absl::StrAppend(&kept, absl::StripSuffix(line, "\r"), "\r\n");
    }
  }
  return kept + "\r\n";
}

}  // namespace

// The library's end of a connection: the request is read before the library
// sees anything of it.
class HttpServer::ClientStream final : public httplib::Stream {
 public:
  enum class Head { kWhole, kTooLong, kNone };

  ClientStream(const Descriptor& socket, Clock& clock)
      : socket_(socket), clock_(clock) {}

  Head ReadHead() {
    const absl::Time deadline = clock_.Now() + kAsksWithin;
    std::string head;
    char buffer[4096];
    while (head.size() < kMostHeadBytes) {
      const ssize_t size = Receive(buffer, deadline);
      if (size <= 0) return Head::kNone;
      head.append(buffer, static_cast<size_t>(size));
      if (absl::StrContains(head, "\r\n\r\n") ||
          absl::StrContains(head, "\n\n")) {
        head_ = Essence(head.substr(0, head.find("\n\r\n")));
        return Head::kWhole;
      }
    }
    return Head::kTooLong;
  }

  // Ends what is sent, and waits a little for the other end to do the same.
  void Linger() {
    ::shutdown(socket_.get(), SHUT_WR);
    const absl::Time deadline = clock_.Now() + kLingers;
    char buffer[4096];
    for (size_t left = kMostLeftBytes; left > 0;) {
      const ssize_t size = Receive(buffer, deadline);
      if (size <= 0) return;
      left -= std::min(left, static_cast<size_t>(size));
    }
  }

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, size_t size) override {
    const size_t given = head_.copy(to, size, at_);
    at_ += given;
    return static_cast<ssize_t>(given);
  }
  ssize_t write(const char* from, size_t size) override {
    const absl::Time deadline = clock_.Now() + kReadsWithin;
    for (size_t sent = 0; sent < size;) {
      const ssize_t now = ::send(socket_.get(), from + sent, size - sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
      if (now > 0) {
        sent += static_cast<size_t>(now);
      } else if (errno != EINTR &&
                 (errno != EAGAIN || !Await(POLLOUT, deadline))) {
        return -1;
      }
    }
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  // Only looked at for whether select() could have it, which nobody calls here.
  socket_t socket() const override { return 0; }

 private:
  bool Await(short what, absl::Time deadline) const {
    pollfd one = {.fd = socket_.get(), .events = what};
    const int64_t left = absl::ToInt64Milliseconds(deadline - clock_.Now());
    return left > 0 && ::poll(&one, 1, static_cast<int>(left)) == 1;
  }
  template <size_t kSize>
  ssize_t Receive(char (&buffer)[kSize], absl::Time deadline) const {
    if (!Await(POLLIN, deadline)) return -1;
    return ::recv(socket_.get(), buffer, kSize, MSG_DONTWAIT);
  }

  const Descriptor& socket_;
  Clock& clock_;
  std::string head_;
  size_t at_ = 0;
};

// Of the library: what HTTP looks like. Sockets and threads are ours.
class HttpServer::Library final : public httplib::Server {
 public:
  Library(const Descriptor& socket, bool is_loopback,
          HttpServer::Handler handler)
      : is_loopback_(is_loopback), handler_(std::move(handler)) {
    svr_sock_ = socket.get();  // it asks whether there is one, and no more
    set_pre_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
          Answer(request, response);
          return HandlerResponse::Handled;
        });
  }

  void Serve(ClientStream& stream) {
    bool is_closed = false;
    process_request(stream, /*close_connection=*/true, is_closed, nullptr);
  }

 private:
  HttpAnswer AnswerTo(const httplib::Request& request,
                      httplib::Response& response) const {
    const std::string host = request.get_header_value("Host");
    if (is_loopback_ && !IsOwnName(host)) {
      return {.status = 403,
              .body = absl::StrCat("Host: found \"", host, "\", expected an ",
                                   "address or localhost; this page is for ",
                                   "this machine\n")};
    }
    if (request.method != "GET" && request.method != "HEAD") {
      response.set_header("Allow", "GET, HEAD");
      return {.status = 405,
              .body = absl::StrCat("method ", request.method,
                                   ", expected GET or HEAD: there is nothing ",
                                   "to change here\n")};
    }
    return handler_(request.path);
  }

  void Answer(const httplib::Request& request, httplib::Response& response) {
    HttpAnswer answer = AnswerTo(request, response);
    response.status = answer.status;
    response.set_header("Cache-Control", "no-store");
    response.set_header("X-Content-Type-Options", "nosniff");
    if (answer.more == nullptr) {
      response.set_content(answer.body, answer.type);
      return;
    }
    response.set_content_provider(
        answer.type,
        [more = std::move(answer.more)](size_t, httplib::DataSink& sink) {
          std::string piece;
          const bool is_last = !more(piece);
          if (!sink.write(piece.data(), piece.size())) return false;
          if (is_last) sink.done();
          return true;
        });
  }

  const bool is_loopback_;
  const HttpServer::Handler handler_;
};

class HttpServer::Connection {
 public:
  Connection(Descriptor socket, Library& library, Clock& clock)
      : socket_(std::move(socket)),
        library_(library),
        clock_(clock),
        end_(clock.NewEvent()),
        thread_([this] { Serve(); }) {}
  ~Connection() {
    ShutDown(socket_);
    thread_.join();
  }

  bool is_asking() const { return is_asking_; }
  // Ends what blocks on it, soon; it counts as no asking one any more.
  void Hurry() {
    is_asking_ = false;
    ShutDown(socket_);
  }
  bool AwaitEnd(absl::Time deadline) { return end_->Wait(deadline); }

 private:
  void Serve() {
    ClientStream stream(socket_, clock_);
    const ClientStream::Head head = stream.ReadHead();
    is_asking_ = false;
    if (head == ClientStream::Head::kWhole) {
      library_.Serve(stream);
    } else if (head == ClientStream::Head::kTooLong) {
      constexpr absl::string_view kTooLong =
          "HTTP/1.1 431 Request Header Fields Too Large\r\n"
          "Connection: close\r\nContent-Length: 0\r\n\r\n";
      stream.write(kTooLong.data(), kTooLong.size());
    }
    if (head != ClientStream::Head::kNone) stream.Linger();
    ShutDown(socket_);
    end_->Set();
  }

  const Descriptor socket_;
  Library& library_;
  Clock& clock_;
  const std::unique_ptr<Event> end_;
  std::atomic<bool> is_asking_ = true;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    const Address& address, Handler handler, Clock& clock) {
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(
      address.host.c_str(), absl::StrCat(address.port).c_str(), &hints, &found);
  if (failed != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("host ", address.host, ": ", ::gai_strerror(failed),
                     "; expected a name or an address of this machine, as "
                     "127.0.0.1 or 0.0.0.0"));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(
      found, &::freeaddrinfo);
  Descriptor socket;
  const addrinfo* at = found;
  for (; at != nullptr; at = at->ai_next) {
    socket = Listen(*at);
    if (socket.open()) break;
  }
  if (at == nullptr) {
    const int why = errno;
    const std::string text =
        absl::StrCat("cannot listen on ", address.text(), ": ",
                     std::strerror(why), "; give an address of this machine ",
                     "and a free port, or port 0 for any");
    return why == EADDRNOTAVAIL ? absl::InvalidArgumentError(text)
                                : absl::UnavailableError(text);
  }
  const Address bound{address.host, PortOf(socket)};
  return std::unique_ptr<HttpServer>(new HttpServer(bound, std::move(socket),
                                                    IsLoopback(*at->ai_addr),
                                                    std::move(handler), clock));
}

HttpServer::HttpServer(Address address, Descriptor socket, bool is_loopback,
                       Handler handler, Clock& clock)
    : address_(std::move(address)),
      clock_(clock),
      socket_(std::move(socket)),
      stop_(clock.NewEvent()),
      library_([&] {
        // The library has the whole process ignore SIGPIPE, and what it starts;
        // nothing here needs that.
        struct sigaction pipe = {};
        ::sigaction(SIGPIPE, nullptr, &pipe);
        auto made =
            std::make_unique<Library>(socket_, is_loopback, std::move(handler));
        ::sigaction(SIGPIPE, &pipe, nullptr);
        return made;
      }()),
      thread_([this] { Accept(); }) {}

HttpServer::~HttpServer() {
  stop_->Set();
  ShutDown(socket_);
  thread_.join();
  const absl::Time deadline = clock_.Now() + kEndsWithin;
  for (const auto& connection : connections_) {
    if (!connection->is_asking()) connection->AwaitEnd(deadline);
  }
  connections_.clear();
}

bool HttpServer::MakeRoom() {
  if (connections_.size() < kMostConnections) return true;
  connections_.remove_if([](const auto& connection) {
    return connection->AwaitEnd(absl::InfinitePast());
  });
  // Several at a time: their threads take a moment to end, for which nobody
  // here waits.
  int asking = 0;
  for (const auto& connection : connections_) asking += connection->is_asking();
  for (const auto& connection : connections_) {
    if (asking <= kMostConnections / 2) break;
    if (!connection->is_asking()) continue;
    connection->Hurry();
    --asking;
  }
  return connections_.size() < 2 * kMostConnections;
}

bool HttpServer::Serve(Descriptor socket) {
  try {
    connections_.push_back(
        std::make_unique<Connection>(std::move(socket), *library_, clock_));
    return true;
  } catch (const std::system_error&) {
    return false;  // no thread is left, which may pass
  }
}

void HttpServer::Accept() {
  while (!stop_->Wait(absl::InfinitePast())) {
    Descriptor socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.open()) {
      if (MakeRoom() && !Serve(std::move(socket)) &&
          stop_->Wait(clock_.Now() + kAcceptPause)) {
        return;
      }
    } else if (stop_->Wait(clock_.Now() + kAcceptPause)) {
      // Most likely there are too many open files, which may pass.
      return;
    }
  }
}

}  // namespace monsoon
