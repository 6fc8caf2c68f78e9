// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "trainers/wire.h"

// How fast workers exchange parameters with servers: for `monsoon bench
// exchange`.
namespace monsoon {

struct ExchangeJob {
  std::string transport = "grpc";  // "shm" or "inproc"
  int64_t bytes = 4 << 20;         // of the model, in float32
  int workers = 1;
  int servers = 1;
  WireNames wire;
  // Where the workers' vectors lie, as --device has it.
  std::string device = "cpu";
  // Where the servers', as --server-device.
  std::string server_device = "cpu";
};

struct ExchangeRates {
  int64_t exchanges = 0;   // of all workers
  double elapsed_s = 0;    // in which they were made
  double bytes_per_s = 0;  // of values as they travel, both ways
  double params_per_s = 0;
  double p50_ms = 0;  // of one exchange, all shards
  double p99_ms = 0;
  double cpu_s_per_gb = 0;  // of workers and servers, a GB both ways
  // Medians of the same run.
  double tcp_bytes_per_s = 0;   // not for inproc, as the next two
  double echo_bytes_per_s = 0;  // bare gRPC, the same messages
  double empty_call_ms = 0;
  double axpy_bytes_per_s = 0;
  double copy_bytes_per_s = 0;
  // To the GPU and back from page-locked memory; not where all is the host's.
  double pcie_bytes_per_s = 0;
};

// Exchanges for that long, limits not counted, in slices that alternate with
// those of the limits. An exchange is a PushPull under `downpour` (its delta
// form): the servers, processes of their own but for inproc, check the update
// and add it to the center, and the center comes back. At the end the center
// has to be the sum of all updates (with a lossy code, but for what the workers
// have not sent yet), INTERNAL if it is not. `folder`: for what
// the servers log.
absl::StatusOr<ExchangeRates> MeasureExchange(const ExchangeJob& job,
                                              absl::Duration duration,
                                              const std::string& folder);

}  // namespace monsoon
