// SPDX-License-Identifier: Apache-2.0
#include "cli/exchange_limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/flat.h"
#include "base/status_macros.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/server_builder.h"
#include "transport/grpc_message.h"
#include "transport/grpc_settings.h"

namespace monsoon {
namespace {

constexpr size_t kPiece = size_t{1} << 20;
constexpr int64_t kEchoSeconds = 60;  // that no message takes
constexpr char kEchoMethod[] = "/monsoon.Bench/Echo";

absl::Status SystemError(const std::string& what) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what));
}

// Moves a whole buffer by `call`, which is ::send or ::recv.
template <typename Call>
bool Move(Call call, int socket, char* data, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t moved =
        call(socket, data + done, std::min(kPiece, size - done), MSG_NOSIGNAL);
    if (moved <= 0) return false;
    done += static_cast<size_t>(moved);
  }
  return true;
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void NoDelay(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// A socket that listens on a port of its own; -1: it does not.
int Listen(int& port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket, generic, size) != 0 || ::listen(socket, 1) != 0 ||
      ::getsockname(socket, generic, &size) != 0) {
    return -1;
  }
  port = ntohs(address.sin_port);
  return socket;
}

void ServeTcp(int listener, int64_t bytes) {
  const int socket = ::accept(listener, nullptr, nullptr);
  if (socket < 0) return;
  NoDelay(socket);
  std::vector<char> buffer(static_cast<size_t>(bytes));
  while (Move(::recv, socket, buffer.data(), buffer.size()) &&
         Move(::send, socket, buffer.data(), buffer.size())) {
  }
}

class EchoService final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext*) override {
    return std::make_unique<Reactor>().release();
  }

 private:
  // Owns itself: gRPC says when it is over.
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    Reactor() { StartRead(&message_); }
    void OnReadDone(bool ok) override {
      if (!ok) return Finish(grpc::Status::OK);
      StartWriteAndFinish(&message_, {}, grpc::Status::OK);
    }
    void OnDone() override { delete this; }

   private:
    grpc::ByteBuffer message_;
  };
};

template <typename T>
bool WriteAll(int pipe, const T& value) {
  return ::write(pipe, &value, sizeof value) == sizeof value;
}

template <typename T>
bool ReadAll(int pipe, T& value) {
  return ::read(pipe, &value, sizeof value) == sizeof value;
}

// The child: until `closed`, the end of a pipe, says so.
void Serve(int64_t bytes, int ports, int closed) {
  ::setpgid(0, 0);  // a signal of the terminal is for the parent
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::array<int, 2> found = {};
  const int listener = Listen(found[0]);
  std::thread([=] { ServeTcp(listener, bytes); }).detach();
  EchoService service;
  grpc::ServerBuilder builder;
  for (const auto& [name, value] : ServerSettings()) {
    builder.AddChannelArgument(name, value);
  }
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &found[1]);
  builder.RegisterCallbackGenericService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  char nothing = 0;
  if (server != nullptr && WriteAll(ports, found)) ReadAll(closed, nothing);
  ::_exit(0);
}

// Memory that nobody has written is one page of zeros, and always in cache.
Flat Ones(int64_t bytes) {
  Flat ones(bytes / static_cast<int64_t>(sizeof(float)));
  std::fill(ones.span().begin(), ones.span().end(), 1.0f);
  return ones;
}

// Repeats `once` for that long; how often a second.
absl::StatusOr<double> Repeat(absl::Duration duration,
                              const std::function<absl::Status()>& once) {
  RETURN_IF_ERROR(once());  // memory is there afterwards
  Clock& clock = RealClock();
  const absl::Time begin = clock.Now();
  int64_t count = 0;
  absl::Duration passed;
  do {
    RETURN_IF_ERROR(once());
    ++count;
    passed = clock.Now() - begin;
  } while (passed < duration);
  return static_cast<double>(count) / absl::ToDoubleSeconds(passed);
}

}  // namespace

absl::StatusOr<std::unique_ptr<EchoProcess>> EchoProcess::Start(int64_t bytes) {
  int ports[2], closed[2];
  if (::pipe(ports) != 0 || ::pipe(closed) != 0) {
    return SystemError("make a pipe");
  }
  auto process = std::unique_ptr<EchoProcess>(new EchoProcess);
  process->pid_ = ::fork();
  if (process->pid_ < 0) return SystemError("start a process");
  if (process->pid_ == 0) {
    ::close(closed[1]);
    Serve(bytes, ports[1], closed[0]);
  }
  ::close(ports[1]);
  ::close(closed[0]);
  process->ends_when_closed_ = closed[1];
  std::array<int, 2> found = {};
  const bool listens = ReadAll(ports[0], found);
  ::close(ports[0]);
  if (!listens) {
    return absl::InternalError("the process that measures limits has ended");
  }
  process->tcp_port_ = found[0];
  process->grpc_port_ = found[1];
  return process;
}

EchoProcess::~EchoProcess() {
  if (ends_when_closed_ >= 0) ::close(ends_when_closed_);
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

absl::StatusOr<std::unique_ptr<TcpEcho>> TcpEcho::Connect(int port,
                                                          int64_t bytes) {
  auto echo = std::unique_ptr<TcpEcho>(new TcpEcho(bytes));
  echo->socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = Loopback(port);
  if (::connect(echo->socket_, reinterpret_cast<const sockaddr*>(&address),
                sizeof address) != 0) {
    return SystemError("connect to the echo over TCP");
  }
  NoDelay(echo->socket_);
  return echo;
}

TcpEcho::~TcpEcho() {
  if (socket_ >= 0) ::close(socket_);
}

absl::StatusOr<double> TcpEcho::Rate(absl::Duration duration) {
  ASSIGN_OR_RETURN(
      const double rate, Repeat(duration, [this]() -> absl::Status {
        if (Move(::send, socket_, buffer_.data(), buffer_.size()) &&
            Move(::recv, socket_, buffer_.data(), buffer_.size())) {
          return absl::OkStatus();
        }
        return absl::InternalError(
            "the process that measures limits has closed its connection");
      }));
  return rate * 2 * static_cast<double>(buffer_.size());
}

struct GrpcEcho::Channel {
  // One message, there and back.
  struct Call {
    std::unique_ptr<grpc::ClientContext> context;
    grpc::ByteBuffer reply;
    grpc::Status status;
    std::unique_ptr<Event> done;
  };

  void Begin(const grpc::ByteBuffer& message, Call& call) {
    call.context = std::make_unique<grpc::ClientContext>();
    call.context->set_wait_for_ready(true);
    call.context->set_deadline(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                     gpr_time_from_seconds(kEchoSeconds, GPR_TIMESPAN)));
    call.done = RealClock().NewEvent();
    stub->UnaryCall(call.context.get(), kEchoMethod, {}, &message, &call.reply,
                    [&call](grpc::Status status) {
                      call.status = std::move(status);
                      call.done->Set();
                    });
  }
  // Copies the answer out, as whoever needs it would.
  absl::Status End(Call& call) {
    call.done->Wait(absl::InfiniteFuture());
    if (!call.status.ok()) {
      return absl::InternalError(
          absl::StrCat("the echo over gRPC: ", call.status.error_message()));
    }
    std::vector<grpc::Slice> slices;
    if (!call.reply.Dump(&slices).ok()) {
      return absl::InternalError("the echo over gRPC: no answer");
    }
    size_t at = 0;
    for (const grpc::Slice& slice : slices) {
      const size_t size = std::min(slice.size(), received.size() - at);
      std::memcpy(received.data() + at, slice.begin(), size);
      at += size;
    }
    return absl::OkStatus();
  }

  std::unique_ptr<grpc::GenericStub> stub;
  std::vector<grpc::ByteBuffer> messages;
  std::vector<char> received;
  int64_t bytes = 0;  // of all messages
};

GrpcEcho::GrpcEcho(std::unique_ptr<Channel> channel)
    : channel_(std::move(channel)) {}
GrpcEcho::~GrpcEcho() = default;

absl::StatusOr<std::unique_ptr<GrpcEcho>> GrpcEcho::Connect(
    int port, const std::vector<int64_t>& sizes) {
  grpc::ChannelArguments arguments;
  for (const auto& [name, value] : ClientSettings()) {
    arguments.SetInt(name, value);
  }
  auto channel = std::make_unique<Channel>();
  channel->stub = std::make_unique<grpc::GenericStub>(
      grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                grpc::InsecureChannelCredentials(), arguments));
  for (const int64_t size : sizes) {
    const grpc::Slice slice = NewPayload(static_cast<size_t>(size));
    std::memset(BytesOf(slice).data(), 0, slice.size());
    channel->messages.emplace_back(&slice, 1);
    channel->received.resize(std::max(channel->received.size(), slice.size()));
    channel->bytes += size;
  }
  return std::unique_ptr<GrpcEcho>(new GrpcEcho(std::move(channel)));
}

absl::StatusOr<double> GrpcEcho::Rate(absl::Duration duration) {
  Channel& channel = *channel_;
  ASSIGN_OR_RETURN(const double rate,
                   Repeat(duration, [&channel]() -> absl::Status {
                     std::vector<Channel::Call> calls(channel.messages.size());
                     for (size_t i = 0; i < calls.size(); ++i) {
                       channel.Begin(channel.messages[i], calls[i]);
                     }
                     absl::Status status;
                     for (auto& call : calls) status.Update(channel.End(call));
                     return status;
                   }));
  return rate * 2 * static_cast<double>(channel.bytes);
}

absl::StatusOr<std::vector<absl::Duration>> GrpcEcho::EmptyCalls(
    absl::Duration duration) {
  std::vector<absl::Duration> times;
  const grpc::Slice nothing;
  const grpc::ByteBuffer empty(&nothing, 1);
  const auto rate = Repeat(duration, [&]() -> absl::Status {
    const absl::Time begin = RealClock().Now();
    Channel::Call call;
    channel_->Begin(empty, call);
    RETURN_IF_ERROR(channel_->End(call));
    times.push_back(RealClock().Now() - begin);
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(rate.status());
  return times;
}

double AxpyRate(int64_t bytes, absl::Duration duration) {
  const Flat x = Ones(bytes);
  Flat y(x.size());
  const auto rate = Repeat(duration, [&] {
    ForEach([](float& yi, float xi) { yi += 0.5f * xi; }, y, x);
    return absl::OkStatus();
  });
  return *rate * 3 * static_cast<double>(bytes);
}

absl::StatusOr<double> DeviceCopyRate(DeviceQueue& queue, int64_t bytes,
                                      absl::Duration duration) {
  const int64_t floats = bytes / static_cast<int64_t>(sizeof(float));
  Flat here(floats, queue.pinned()), there(floats, queue);
  ASSIGN_OR_RETURN(const double rate, Repeat(duration, [&] {
                     there.CopyFrom(here);
                     here.CopyFrom(there);  // waits
                     return queue.status();
                   }));
  return rate * 2 * static_cast<double>(bytes);
}

double CopyRate(int64_t bytes, absl::Duration duration) {
  const Flat x = Ones(bytes);
  Flat y(x.size());
  const auto rate = Repeat(duration, [&] {
    y.CopyFrom(x);
    return absl::OkStatus();
  });
  return *rate * static_cast<double>(bytes);
}

}  // namespace monsoon
