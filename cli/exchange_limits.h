// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/device_queue.h"

// What an exchange of parameters cannot beat, measured on this machine: for
// `monsoon bench exchange`. One thread each.
namespace monsoon {

// A process of its own that sends back what it gets: over plain TCP, whole
// buffers of one size, and over gRPC, tuned as the data plane is, message by
// message, without looking at them.
class EchoProcess {
 public:
  // Forks: before any other thread of this process begins. `bytes`: of a buffer
  // over TCP.
  static absl::StatusOr<std::unique_ptr<EchoProcess>> Start(int64_t bytes);
  ~EchoProcess();
  EchoProcess(const EchoProcess&) = delete;
  EchoProcess& operator=(const EchoProcess&) = delete;

  int tcp_port() const { return tcp_port_; }
  int grpc_port() const { return grpc_port_; }

 private:
  EchoProcess() = default;

  pid_t pid_ = -1;
  int ends_when_closed_ = -1;
  int tcp_port_ = 0;
  int grpc_port_ = 0;
};

// One connection over loopback through which buffers go there and back, one
// after the other, by calls of 1 MiB.
class TcpEcho {
 public:
  static absl::StatusOr<std::unique_ptr<TcpEcho>> Connect(int port,
                                                          int64_t bytes);
  ~TcpEcho();
  TcpEcho(const TcpEcho&) = delete;
  TcpEcho& operator=(const TcpEcho&) = delete;

  // Bytes a second, both ways counted.
  absl::StatusOr<double> Rate(absl::Duration duration);

 private:
  explicit TcpEcho(int64_t bytes) : buffer_(static_cast<size_t>(bytes)) {}

  int socket_ = -1;
  std::vector<char> buffer_;
};

// One channel through which messages of some sizes go there and back, all at
// once.
class GrpcEcho {
 public:
  static absl::StatusOr<std::unique_ptr<GrpcEcho>> Connect(
      int port, const std::vector<int64_t>& sizes);
  ~GrpcEcho();

  // Bytes a second, both ways counted.
  absl::StatusOr<double> Rate(absl::Duration duration);
  // The time of each call with an empty message.
  absl::StatusOr<std::vector<absl::Duration>> EmptyCalls(
      absl::Duration duration);

 private:
  struct Channel;

  explicit GrpcEcho(std::unique_ptr<Channel> channel);

  std::unique_ptr<Channel> channel_;
};

// Bytes a second that y += a * x moves (12 a float) over vectors of `bytes`.
double AxpyRate(int64_t bytes, absl::Duration duration);
// Bytes a second that go to a device and, when all are there, come back, in
// page-locked memory.
absl::StatusOr<double> DeviceCopyRate(DeviceQueue& queue, int64_t bytes,
                                      absl::Duration duration);
// Bytes a second that memcpy copies (each counted once) of `bytes`.
double CopyRate(int64_t bytes, absl::Duration duration);

}  // namespace monsoon
