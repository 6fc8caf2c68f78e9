// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc_settings.h"

#include <malloc.h>

#include <cstdlib>

#include "absl/synchronization/mutex.h"
#include "grpc/grpc.h"

namespace monsoon {
namespace {

// Allocations up to this size (the most that glibc takes) are recycled.
constexpr int kKeptBytes = 32 << 20;
// Each keeps what was freed: what a process holds must not grow with the cores.
constexpr int kArenas = 4;

}  // namespace

std::map<std::string, int> CommonSettings() {
  return {
      {GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, kMaxMessageBytes},
      // A peer that vanished without a word is noticed within 20 s.
      {GRPC_ARG_KEEPALIVE_TIME_MS, 10'000},
      {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000},
      {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
      {GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0},
      // A shard should not be cut into 256 frames, nor be read in 512 calls.
      {GRPC_ARG_HTTP2_MAX_FRAME_SIZE, (1 << 24) - 1},
      {GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 8 << 20},
      {GRPC_ARG_TCP_READ_CHUNK_SIZE, 1 << 20},
      {GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, 1 << 20},
  };
}

std::map<std::string, int> ServerSettings() {
  std::map<std::string, int> settings = CommonSettings();
  settings[GRPC_ARG_MAX_CONCURRENT_STREAMS] = kMaxCalls;
  // Else a second server on a port would silently share it.
  settings[GRPC_ARG_ALLOW_REUSEPORT] = 0;
  // Parked calls are kept alive by pings alone.
  settings[GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS] = 1'000;
  settings[GRPC_ARG_HTTP2_MAX_PING_STRIKES] = 0;
  return settings;
}

std::map<std::string, int> ClientSettings() {
  std::map<std::string, int> settings = CommonSettings();
  // Only whoever knows the sequence numbers may repeat a call.
  settings[GRPC_ARG_ENABLE_RETRIES] = 0;
  // One connection per client, shared with nobody behind our back.
  settings[GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL] = 1;
  settings[GRPC_ARG_ENABLE_HTTP_PROXY] = 0;
  // A server that starts later than its workers is found soon after.
  settings[GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS] = 50;
  settings[GRPC_ARG_MAX_RECONNECT_BACKOFF_MS] = 1'000;
  settings[GRPC_ARG_MIN_RECONNECT_BACKOFF_MS] = 5'000;  // for one attempt
  return settings;
}

void PrepareGrpc() {
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  mallopt(M_MMAP_THRESHOLD, kKeptBytes);
  mallopt(M_TRIM_THRESHOLD, 8 * kKeptBytes);
  mallopt(M_ARENA_MAX, kArenas);
}

}  // namespace monsoon
