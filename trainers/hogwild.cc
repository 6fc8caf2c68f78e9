// SPDX-License-Identifier: Apache-2.0
// Hogwild: all workers in one memory, without locks.
//
// Source:   Niu, Recht, Re, Wright 2011, HOGWILD!: A Lock-Free Approach to
//           Parallelizing Stochastic Gradient Descent (NIPS, arXiv:1106.5730).
// Rule:     every step, of each worker, element by element and atomically:
//             c <- c - lr*g(c)
// Symbols:  c the center, of which replica.x is an alias; g replica.gradient;
//           [P] float32.
// Units:    lr is --lr by the schedule.
// Errors:   INVALID_ARGUMENT for a local optimizer with a memory, or a model
//           with statistics (batch norm), which have no atomic step;
//           UNIMPLEMENTED where the center is in another process.
// Threads:  immutable, safe from any thread. Workers read the center while
//           others write it, as in the paper: a gradient is that of a mixture
//           of versions. Writes are atomic; forward and backward passes read
//           plain floats meanwhile, which C++ calls a race, and of which no
//           processor that we know tears one.
// Divergence: no server stands between; the center is left as it became.
// Cost:     nothing travels; one atomic operation an element and step. With
//           updates=add none is lost (compare-and-swap); with updates=store, a
//           plain load and store, a step of one worker may overwrite another's.
// Departs:  gradients of neural networks are dense, where the paper's theory
//           needs sparse ones that seldom overlap; its rate that falls by a
//           factor between epochs is --lr-schedule step.
#include <atomic>

#include "base/status_macros.h"
#include "trainers/trainer.h"

namespace monsoon {
namespace {

class Hogwild final : public Trainer {
 public:
  explicit Hogwild(Hyperparameters& hyper)
      : adds_(hyper.Choice("updates", "add", {"add", "store"},
                           "atomic addition, or atomic load and store, which "
                           "is faster and may lose a step's element") ==
              "add") {}

  Traits traits() const override {
    return {.local_step = LocalStep::kPlain, .maps_center = true};
  }
  absl::Status Start(Replica& r, Link& link) const override {
    if (r.parameters() < r.x.size()) {
      return absl::InvalidArgumentError(
          "trainer hogwild: found a model with batch normalization, whose "
          "statistics several workers cannot move in one memory; use another "
          "model or trainer");
    }
    RETURN_IF_ERROR(link.Pull(r.gradient));  // waits until it is there
    return link.Map(r.x);
  }
  GradientSink Sink(Replica& r) const override { return {r.gradient}; }
  void AfterGradient(Replica& r) const override {
    r.PrepareGradient();
    const float lr = r.lr();
    const float* const g = r.gradient.data();
    for (int64_t i = 0; i < r.x.size(); ++i) {
      std::atomic_ref<float> x(r.x[i]);
      if (adds_) {
        x.fetch_sub(lr * g[i], std::memory_order_relaxed);
      } else {
        x.store(x.load(std::memory_order_relaxed) - lr * g[i],
                std::memory_order_relaxed);
      }
    }
  }
  bool Due(const Replica&) const override { return false; }
  absl::Status Exchange(Replica&, Link&) const override {
    return absl::OkStatus();
  }

 private:
  const bool adds_;
};

REGISTER_TRAINER("hogwild", Hogwild,
                 {.title = "lock-free SGD in one memory",
                  .equation = "every step: c <- c - lr*g, atomically by "
                              "element",
                  .source = "Niu, Recht, Re, Wright 2011, NIPS, "
                            "arXiv:1106.5730",
                  .optimizer = "sgd",
                  .lr = 0.1f});

}  // namespace
}  // namespace monsoon
