// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/flat.h"
#include "base/layout.h"
#include "proto/convert.h"

namespace monsoon {

// Pushes that tell from a center alone which of them were applied. In every
// shard each worker has two floats: the first grows by one with each of its
// pushes, the second by the push's mark, which follows from its sequence
// number. All others grow by one with every push of anybody. Small integers,
// so that float32 sums are exact.

struct CountedJob {
  int workers = 1;
  int servers = 1;
  int shards = 1;  // spread over the servers in turn
  int64_t shard_floats = 64;

  std::vector<ShardRange> Shards() const {
    std::vector<ShardRange> ranges;
    for (int i = 0; i < shards; ++i) {
      ranges.push_back({i * shard_floats, shard_floats, i % servers});
    }
    return ranges;
  }
  int64_t floats() const { return shards * shard_floats; }

  // center += value.
  pb::JobSpec Spec() const {
    pb::JobSpec spec;
    spec.set_trainer("downpour");
    (*spec.mutable_hyper())["form"] = "delta";
    pb::Tensor& tensor = *spec.add_tensors();
    tensor.set_name("x");
    tensor.add_shape(floats());
    ShardsToProto(Shards(), spec);
    spec.set_servers(servers);
    spec.set_workers(workers);
    spec.set_samples(1);
    return spec;
  }
  pb::JoinRequest JoinAs(int worker, int server, uint64_t job_id,
                         uint64_t incarnation) const {
    pb::JoinRequest request;
    request.set_job_id(job_id);
    request.set_worker(worker);
    request.set_incarnation(incarnation);
    request.set_server_index(server);
    *request.mutable_spec() = Spec();
    return request;
  }
};

// Differs from one life (incarnation) of a worker to the next.
inline int64_t Mark(int64_t life, int64_t sequence) {
  return (17 * life + sequence) % 61 + 1;
}

// Of pushes 1 to `count` of that life.
inline int64_t SumOfMarks(int64_t life, int64_t count) {
  int64_t sum = 0;
  for (int64_t i = 1; i <= count; ++i) sum += Mark(life, i);
  return sum;
}

// What `worker` pushes as push number `sequence` of that life.
inline void FillPush(const CountedJob& job, int worker, int64_t life,
                     int64_t sequence, Flat& update) {
  for (int64_t i = 0; i < job.floats(); ++i) {
    update[i] = i % job.shard_floats < 2 * job.workers ? 0.0f : 1.0f;
  }
  for (int shard = 0; shard < job.shards; ++shard) {
    const int64_t own = shard * job.shard_floats + 2 * worker;
    update[own] = 1;
    update[own + 1] = static_cast<float>(Mark(life, sequence));
  }
}

// What one shard of a center says of one worker's pushes, over all its lives.
struct Applied {
  int64_t count = 0;
  int64_t marks = 0;
};

inline Applied AppliedOf(const CountedJob& job, const Flat& center, int worker,
                         int shard) {
  const int64_t own = shard * job.shard_floats + 2 * worker;
  return {static_cast<int64_t>(center[own]),
          static_cast<int64_t>(center[own + 1])};
}

// Empty when the pushes that were applied between `before` and `after` are
// numbers 1 to n of that life, each once, and n is in [least, most].
inline std::string WrongLife(const Applied& before, const Applied& after,
                             int64_t life, int64_t least, int64_t most) {
  const int64_t count = after.count - before.count;
  const int64_t marks = after.marks - before.marks;
  if (count >= least && count <= most && marks == SumOfMarks(life, count))
    return "";
  return absl::StrCat(count, " pushes were applied, expected ", least, " to ",
                      most, "; their marks sum to ", marks, ", expected ",
                      SumOfMarks(life, count), "\n");
}

// Empty when every float of every shard was moved by every push alike. Of a
// center that was pulled while others push, too: a shard is read atomically.
inline std::string WrongTotals(const CountedJob& job, const Flat& center) {
  for (int shard = 0; shard < job.shards; ++shard) {
    int64_t total = 0;
    for (int worker = 0; worker < job.workers; ++worker) {
      total += AppliedOf(job, center, worker, shard).count;
    }
    for (int64_t i = 2 * job.workers; i < job.shard_floats; ++i) {
      const float found = center[shard * job.shard_floats + i];
      if (found == static_cast<float>(total)) continue;
      return absl::StrCat("shard ", shard, ", float ", i, ": ", found,
                          ", expected ", total, "\n");
    }
  }
  return "";
}

}  // namespace monsoon
