// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/trainers/turn_clock.h"
#include "trainers/trainer.h"
#include "transport/server_calls.h"
#include "worker/shard_link.h"
#include "worker/training_loop.h"

namespace monsoon {

// The memory in which tests have the replica of this rank, for good: the file
// that is linked says which (host_memory.cc, ../cuda/cuda_memory.cc).
MemoryResource& TestMemory(int worker);

// The gradient of a toy problem at x, for the `step`-th batch of `worker`.
using ToyGradient = std::function<void(int worker, int64_t step, const Flat& x,
                                       Flat& gradient)>;

// (x + 2y - 7)^2 + (2x + y - 5)^2 on neighbouring pairs (the Booth function, as
// in Hermans' simulation): minimum (1, 3), eigenvalues 18 and 2.
void Booth(int worker, int64_t step, const Flat& x, Flat& gradient);
// x^2 / 2: the gradient is x itself.
void Bowl(int worker, int64_t step, const Flat& x, Flat& gradient);
// The same numbers for every parameter and step, one a worker.
ToyGradient Constant(std::vector<float> by_worker);

// What a model's statistics do in a training pass: moves them, given alone.
using ToyMotion =
    std::function<void(int worker, int64_t step, Flat& statistics)>;

struct ToyJob {
  std::string trainer;
  std::map<std::string, std::string> set;
  int workers = 1;
  int shards = 1;   // of about equal size, dealt to the servers in turn
  int servers = 1;  // at most as many as shards
  std::string optimizer = "sgd";
  float lr = 0.5f;
  int64_t max_lead = kUnbounded;       // --max-lead
  int64_t max_staleness = kUnbounded;  // --max-staleness
  std::vector<float> start;            // the initial center, [P]
  ToyGradient gradient;
  // Of `start`, the last are statistics, and what is in front of them decays
  // only if it is no bias.
  int biases = 0;
  int statistics = 0;
  ToyMotion motion;
  LocalRules rules;  // whose `workers` are the job's
  // Where a worker's replica lies.
  MemoryResource& (*memory)(int worker) = TestMemory;
  // Null: a real Server.
  std::function<std::unique_ptr<ServerCalls>()> make_server;
};

// Real servers, real links, the real training loop and trainer in one process,
// and a script in place of time: workers take steps in the order in which the
// test names them, one at a time. Assertions inside: main thread only.
class ScriptedCluster {
 public:
  // All workers have joined and started, in the order of their ranks.
  explicit ScriptedCluster(const ToyJob& job);
  ~ScriptedCluster();

  // One local step of each worker named, with the exchange when it is due. A
  // worker whose exchange waits for others is left waiting, and goes on when
  // they let it; until then it takes no step.
  void Run(const std::vector<int>& schedule);
  // The same, but passes over workers that wait.
  void RunReady(const std::vector<int>& schedule);
  void RoundRobin(int64_t rounds);
  // One step of a worker that may fail. OK if it waits.
  absl::Status Step(int worker);
  // Its exchange, or its start, waits for others.
  bool IsWaiting(int worker) const;
  // The worker's data have ended: its tail is exchanged, and it leaves the job.
  void End(int worker);
  // The same, where it may fail.
  absl::Status TryEnd(int worker);
  // All that have not ended, each as soon as it does not wait.
  void EndAll();
  // Every worker on a thread of its own: `steps` steps and the tail. Returns
  // the first failure.
  absl::Status RunThreads(int64_t steps);

  // As an observer pulls it.
  std::vector<float> Center();
  std::vector<float> x(int worker) const;
  // What is evaluated: the center, or the replica of rank 0.
  std::vector<float> result();
  ShardLink::Counters counters(int worker) const;
  // What its link says of its last exchange.
  Answer last(int worker) const;
  // Of all workers.
  int64_t steps() const;
  pb::JobStatus JobStatusOf(int server);
  ServerCalls& server(int index);

  // What all workers know; into workers that have taken no step.
  void SaveWorkers(Writer& writer) const;
  void LoadWorkers(Reader& reader);

 private:
  class Worker;

  // The worker does it, on its own thread; OK if it waits.
  absl::Status Act(int worker, const std::function<absl::Status()>& action);
  // Tells the servers that it has ended; if it waits, that all is over.
  absl::Status Leave(int rank);
  Worker& worker_of(int rank) const;
  void Join(int worker);
  ShardLink::Config LinkConfig(int worker) const;

  TurnClock clock_;
  const ToyJob job_;
  const MadeTrainer made_;
  const std::unique_ptr<Optimizer> optimizer_;
  std::vector<ShardRange> shards_;
  std::vector<std::unique_ptr<ServerCalls>> servers_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

// The result of one worker's `steps` steps and its tail.
std::vector<float> TrainAlone(ToyJob job, int64_t steps);

// Bit for bit.
bool SameBits(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace monsoon
