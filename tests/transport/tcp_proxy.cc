// SPDX-License-Identifier: Apache-2.0
#include "tests/transport/tcp_proxy.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"

namespace monsoon {
namespace {

constexpr size_t kChunk = 64 << 10;
constexpr uint64_t kTrickled = 400;  // bytes, by 1 to 7
constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void SetUp(int socket) {
  const int one = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
}

bool WouldBlock() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

// One direction of a connection.
struct TcpProxy::Way {
  Way(int source, int sink, Random stream, bool answers)
      : from(source), to(sink), is_answers(answers), random(stream) {}

  void PlanNext(uint64_t most) {
    next = most == 0 ? kNever : passed + 1 + random.Below(most);
  }
  bool stalls() const { return RealClock().Now() < stalled_until; }

  const int from, to;
  const bool is_answers;
  Random random;
  uint64_t passed = 0;  // bytes that were read
  uint64_t next = kNever;
  uint64_t trickles = 0;  // bytes left to go slowly
  absl::Time stalled_until = absl::InfinitePast();
  std::vector<char> pending;  // read and not yet written
  bool at_end = false;        // nothing more is read
  bool is_shut = false;       // and the sink knows
};

struct TcpProxy::Connection {
  Connection(int client, int server, uint64_t seed, uint64_t number)
      : ends{client, server},
        ways{Way(client, server, Random({seed, number, 0}), false),
             Way(server, client, Random({seed, number, 1}), true)} {}
  ~Connection() {
    for (int end : ends) ::close(end);
  }

  const std::array<int, 2> ends;
  std::array<Way, 2> ways;
};

TcpProxy::TcpProxy(int server_port, Plan plan, uint64_t seed)
    : server_port_(server_port), plan_(plan), seed_(seed) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  MONSOON_CHECK(::bind(listener_, generic, size) == 0 &&
                    ::listen(listener_, 16) == 0 &&
                    ::getsockname(listener_, generic, &size) == 0,
                "the proxy has a port");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Run(); });
}

TcpProxy::~TcpProxy() {
  ends_ = true;
  ::eventfd_write(bell_, 1);
  thread_.join();
  connections_.clear();
  ::close(listener_);
  ::close(bell_);
}

void TcpProxy::HoldAnswers(bool hold) {
  holds_ = hold;
  ::eventfd_write(bell_, 1);
}

void TcpProxy::Run() {
  std::vector<pollfd> waits;
  while (!ends_) {
    waits = {{bell_, POLLIN, 0}, {listener_, POLLIN, 0}};
    absl::Time wake = absl::InfiniteFuture();
    for (const auto& connection : connections_) {
      for (const Way& way : connection->ways) {
        if (way.is_shut) continue;
        if (way.stalls()) {
          wake = std::min(wake, way.stalled_until);
        } else if (!way.pending.empty()) {
          waits.push_back({way.to, POLLOUT, 0});
        } else if (!(way.is_answers && holds_)) {
          waits.push_back({way.from, POLLIN, 0});
        }
      }
    }
    const absl::Duration patience = wake - RealClock().Now();
    const int timeout = wake == absl::InfiniteFuture()
                            ? -1
                            : static_cast<int>(absl::ToInt64Milliseconds(
                                  std::max(patience, absl::ZeroDuration()))) +
                                  1;
    ::poll(waits.data(), waits.size(), timeout);
    eventfd_t rung = 0;
    ::eventfd_read(bell_, &rung);
    if (waits[1].revents != 0) Accept();
    std::erase_if(connections_, [this](const auto& c) { return !Serve(*c); });
  }
}

void TcpProxy::Accept() {
  const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(server_port_);
  const bool is_there =
      ::connect(server, reinterpret_cast<const sockaddr*>(&address),
                sizeof address) == 0;
  auto connection = std::make_unique<Connection>(
      client, server, seed_, static_cast<uint64_t>(count_++));
  if (!is_there) return;  // closes both
  for (int end : connection->ends) SetUp(end);
  for (Way& way : connection->ways) way.PlanNext(plan_.most_bytes);
  connections_.push_back(std::move(connection));
}

bool TcpProxy::Serve(Connection& connection) {
  for (Way& way : connection.ways) {
    if (!way.is_shut && !way.stalls() && !Move(way)) return false;
  }
  return !(connection.ways[0].is_shut && connection.ways[1].is_shut);
}

// Reads up to the next fault and no further, so that it comes after that byte.
bool TcpProxy::Move(Way& way) {
  if (way.pending.empty() && !way.at_end && !(way.is_answers && holds_)) {
    uint64_t most = std::min<uint64_t>(kChunk, way.next - way.passed);
    if (way.trickles > 0) most = std::min(most, 1 + way.random.Below(7));
    way.pending.resize(most);
    const ssize_t got = ::recv(way.from, way.pending.data(), most, 0);
    if (got < 0 && !WouldBlock()) return false;
    way.at_end = got == 0;
    const auto size = static_cast<uint64_t>(std::max<ssize_t>(got, 0));
    way.pending.resize(size);
    way.passed += size;
    way.trickles -= std::min(way.trickles, size);
  }
  if (!way.pending.empty()) {
    const ssize_t put =
        ::send(way.to, way.pending.data(), way.pending.size(), MSG_NOSIGNAL);
    if (put < 0 && !WouldBlock()) return false;
    way.pending.erase(way.pending.begin(),
                      way.pending.begin() + std::max<ssize_t>(put, 0));
    if (!way.pending.empty()) return true;
  }
  if (way.at_end) {
    ::shutdown(way.to, SHUT_WR);
    way.is_shut = true;
    return true;
  }
  return way.passed < way.next || Happen(way);
}

bool TcpProxy::Happen(Way& way) {
  int total = 0;
  for (int weight : plan_.weights) total += weight;
  auto drawn = static_cast<int>(way.random.Below(static_cast<uint64_t>(total)));
  size_t fault = 0;
  while (drawn >= plan_.weights[fault]) drawn -= plan_.weights[fault++];
  ++happened_[fault];
  way.PlanNext(plan_.most_bytes);
  switch (static_cast<Fault>(fault)) {
    case kReset: {
      const linger at_once = {.l_onoff = 1, .l_linger = 0};
      for (int end : {way.from, way.to}) {
        ::setsockopt(end, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      }
      return false;
    }
    case kClose:
      return false;
    case kHalfClose:
      ::shutdown(way.to, SHUT_WR);
      way.at_end = way.is_shut = true;
      return true;
    case kStall:
      way.stalled_until =
          RealClock().Now() +
          plan_.longest_stall * static_cast<double>(way.random.Uniform(0, 1));
      return true;
    default:
      way.trickles = kTrickled;
      return true;
  }
}

}  // namespace monsoon
