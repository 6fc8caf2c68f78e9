// SPDX-License-Identifier: Apache-2.0
#include "trainers/federated.h"

#include <algorithm>
#include <vector>

#include "base/status_macros.h"

namespace monsoon {
namespace {

// SplitMix64's last steps (Steele, Lea, Flood 2014).
uint64_t Mixed(uint64_t z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

int64_t CohortSize(Hyperparameters& hyper) {
  const double fraction =
      hyper.Number("fraction", 1, {.min = 0, .max = 1, .min_open = true},
                   "C: the part of the workers that takes part in a round");
  // As a float, which is what the servers get; 0.3 of 10 is 3.
  const double size =
      double{static_cast<float>(fraction)} * hyper.facts().workers + 1e-4;
  return std::max<int64_t>(1, static_cast<int64_t>(size));
}

}  // namespace

Federated::Federated(Hyperparameters& hyper, double local_epochs)
    : RoundTrainer(kUnbounded),
      workers_(hyper.facts().workers),
      cohort_(CohortSize(hyper)),
      local_epochs_(static_cast<float>(hyper.Number(
          "local_epochs", local_epochs, {.min = 0, .min_open = true},
          "E: passes of a worker over its own data in "
          "one round"))),
      seed_(static_cast<uint64_t>(
          hyper.Count("cohort_seed", static_cast<int64_t>(hyper.facts().seed),
                      0, "draws the cohorts; --seed by default"))) {}

Federated::Draw Federated::Drawn(int64_t round, int worker) const {
  const uint64_t key = Mixed(Mixed(seed_) + static_cast<uint64_t>(round));
  return {Mixed(key + static_cast<uint64_t>(worker)), worker};
}

Federated::Draw Federated::LastOfCohort(int64_t round) const {
  std::vector<Draw> draws;
  for (int worker = 0; worker < workers_; ++worker) {
    draws.push_back(Drawn(round, worker));
  }
  const auto last = draws.begin() + (cohort_ - 1);
  std::nth_element(draws.begin(), last, draws.end());
  return *last;
}

bool Federated::IsInCohort(int64_t round, int worker) const {
  return cohort_ >= workers_ || Drawn(round, worker) <= LastOfCohort(round);
}

int Federated::Quorum(int64_t round, absl::Span<const int> live) const {
  if (cohort_ >= workers_) return static_cast<int>(live.size());
  const Draw last = LastOfCohort(round);
  return static_cast<int>(
      std::count_if(live.begin(), live.end(),
                    [&](int worker) { return Drawn(round, worker) <= last; }));
}

absl::Status Federated::Start(Replica& r, Link& link) const {
  RETURN_IF_ERROR(RoundTrainer::Start(r, link));
  return AwaitTurn(r, link);
}

bool Federated::Due(const Replica& r) const {
  return r.pending_epochs() >= local_epochs_ * (1 - 1e-9);
}

absl::Status Federated::Exchange(Replica& r, Link& link) const {
  RETURN_IF_ERROR(RoundTrainer::Exchange(r, link));
  return AwaitTurn(r, link);
}

absl::Status Federated::AwaitTurn(Replica& r, Link& link) const {
  bool waited = false;
  while (!IsInCohort(link.last().version, r.worker)) {
    RETURN_IF_ERROR(link.Pull(r.x, {.rounds = 1}));
    waited = true;
  }
  if (waited) r.KeepCenter(r.x);
  return absl::OkStatus();
}

}  // namespace monsoon
