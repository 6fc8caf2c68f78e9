// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/server.h"
#include "transport/server_calls.h"

namespace monsoon {

// Serves a ServerCalls over gRPC to workers in any language. A parked call
// costs its messages and no thread; the caller's cancellation or deadline
// becomes ServerCalls::Cancel. Whatever comes from the network, the answer is
// a status. Thread-safe.
//
// Probe is answered here, whatever `calls` does.
//
// Who knows nothing of the schema can ask, too: grpc.health.v1.Health answers
// SERVING, for "" and for our service's name, and NOT_SERVING from Shutdown on;
// grpc.reflection.v1alpha.ServerReflection lists the services with their
// messages.
//
// `calls` is called on gRPC's few threads: it must not block.
class GrpcServer {
 public:
  // Listens on `listen`, "HOST:PORT" (see transport/address.h); port 0 takes
  // any free one. INVALID_ARGUMENT for what is no address; UNAVAILABLE when
  // the port is taken or the address not one of this machine. `calls` outlives
  // the server.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      ServerCalls& calls, const std::string& listen);
  // Shuts down.
  ~GrpcServer();

  int port() const { return port_; }
  // Takes no more calls, gives those in flight 100 ms, cancels the rest and
  // returns when all have finished: at once, if `calls` heeds Cancel.
  void Shutdown();

 private:
  GrpcServer();

  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace monsoon
