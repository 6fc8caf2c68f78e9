// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "server/server.h"
#include "transport/faulty.h"
#include "worker/shard_link.h"

namespace monsoon {

constexpr uint64_t kJob = 7;
constexpr int64_t kFloats = 1400;     // of which
constexpr int64_t kStatistics = 100;  // come last

// Two shards, one of which holds all statistics, of one server.
pb::JobSpec CodedJob(const std::string& trainer, const std::string& wire,
                     int workers);

// A server, and a link of each worker through a network that loses calls.
struct CodedCluster {
  // `copies`: see ShardLink::Config; of all workers.
  CodedCluster(const std::string& trainer, const std::string& wire,
               int workers = 2, Faults faults = {},
               DeviceQueue* copies = nullptr);

  // As it is, in float32.
  Flat Center();

  Server server;
  FaultyCalls network;
  ShardLink::Config config;
  std::vector<std::unique_ptr<ShardLink>> links;
};

// Multiples of 2^-14 below 2 in magnitude, of which float32 sums are exact.
void Fill(Random& random, Flat& values);

}  // namespace monsoon
