// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <string>

#include "base/check.h"
#include "tests/worker/acknowledged_calls.h"
#include "tests/worker/counted_pushes.h"

namespace monsoon {

// What push_worker.cc and the test that kills it have in common.

inline const CountedJob kPushJob = {
    .workers = 4, .servers = 2, .shards = 6, .shard_floats = 16 << 10};
inline constexpr uint64_t kPushJobId = 7;
inline constexpr int kMostLives = 128;

// Of life `life` of rank `worker`, 1-based: no two are alike.
inline uint64_t PushIncarnation(int worker, int life) {
  return static_cast<uint64_t>(worker) * 1000 + static_cast<uint64_t>(life) + 1;
}

// What a process notes of itself as it goes, in memory that outlives it.
struct LifeRecord {
  // What had been applied before its first push; there once it has `begun`.
  std::array<Applied, 6> before;
  std::atomic<bool> has_begun = false;
  std::array<PushProgress, 6> shards;
  char error[400] = {};
};
using PushRecords = std::array<std::array<LifeRecord, kMostLives>, 4>;

// Maps a file of records, made of zeros if it is not there. For good.
inline PushRecords& MapRecords(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  MONSOON_CHECK(file >= 0 && ::ftruncate(file, sizeof(PushRecords)) == 0,
                "the file of records can be written");
  void* memory = ::mmap(nullptr, sizeof(PushRecords), PROT_READ | PROT_WRITE,
                        MAP_SHARED, file, 0);
  MONSOON_CHECK(memory != MAP_FAILED, "the file of records can be mapped");
  ::close(file);
  return *static_cast<PushRecords*>(memory);
}

}  // namespace monsoon
