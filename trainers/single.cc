// SPDX-License-Identifier: Apache-2.0
// Single: one worker, no exchange; what every other trainer is compared with.
//
// Source:   the textbook; stochastic gradient descent, Robbins and Monro 1951.
// Rule:     x <- Opt(x, g(x)) for every mini-batch; statistics (batch norm) are
//           where the model has put them.
// Symbols:  x replica.x, g replica.gradient; [P] float32.
// Errors:   whatever Link returns from the first pull.
// Threads:  immutable, safe from any thread.
// Cost:     one Pull of P floats in all; nothing is pushed, so the result is
//           the replica and the servers keep the initial center.
#include "trainers/trainer.h"

namespace monsoon {
namespace {

class Single final : public Trainer {
 public:
  explicit Single(Hyperparameters&) {}

  Traits traits() const override {
    return {.result = Result::kReplicas, .max_workers = 1};
  }
  absl::Status Start(Replica& r, Link& link) const override {
    return link.Pull(r.x);
  }
  bool Due(const Replica&) const override { return false; }
  absl::Status Exchange(Replica&, Link&) const override {
    return absl::OkStatus();
  }
};

REGISTER_TRAINER("single", Single,
                 {.title = "sequential baseline, one worker",
                  .equation = "x <- Opt(x, g(x))",
                  .source = "Robbins, Monro 1951",
                  .optimizer = "sgd",
                  .lr = 0.1f});

}  // namespace
}  // namespace monsoon
