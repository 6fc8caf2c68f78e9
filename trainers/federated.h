// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>

#include "trainers/delta_trainer.h"

namespace monsoon {

// What the federated trainers share. In each round a cohort of the workers
// trains for `local_epochs` passes over its own share of the data and pushes
// the way that it went; the server half gets the mean, weighted by samples. The
// others wait. The cohort of a round follows from cohort_seed, so that both
// halves know it without a message: the m = max(1, fraction*workers) workers
// with the smallest hashes of seed, round and rank.
//
// Symbols: x replica.x, c shard.center, c' the round's center as the worker
// pulled it; all [P] float32. Errors: whatever Link returns; x and c' are then
// undefined. Threads: immutable, safe from any thread. Statistics (batch norm):
// the mean. Cost: P floats each way per round of a worker; the servers keep the
// pushes of a round: cohort x model bytes. A worker whose data have ended is in
// no cohort any more, and a round whose whole cohort has ended passes.
class Federated : public RoundTrainer {
 public:
  absl::Status Start(Replica& r, Link& link) const override;
  bool Due(const Replica& r) const override;
  absl::Status Exchange(Replica& r, Link& link) const override;
  int Quorum(int64_t round, absl::Span<const int> live) const override;

 protected:
  // With the keys fraction, local_epochs (by default `local_epochs`) and
  // cohort_seed.
  explicit Federated(Hyperparameters& hyper, double local_epochs = 1);

 private:
  // What a worker draws in a round, all different; the smallest take part.
  using Draw = std::pair<uint64_t, int>;
  Draw Drawn(int64_t round, int worker) const;
  Draw LastOfCohort(int64_t round) const;
  bool IsInCohort(int64_t round, int worker) const;
  // Waits until it is the worker's turn, with that round's center.
  absl::Status AwaitTurn(Replica& r, Link& link) const;

  const int workers_;
  const int64_t cohort_;
  const double local_epochs_;
  const uint64_t seed_;
};

}  // namespace monsoon
