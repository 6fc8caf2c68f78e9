// SPDX-License-Identifier: Apache-2.0
// Hogwild: all workers in one memory, without locks.
//
// Source:   Niu, Recht, Re, Wright 2011, HOGWILD!: A Lock-Free Approach to
//           Parallelizing Stochastic Gradient Descent (NIPS, arXiv:1106.5730).
// Rule:     every step, of each worker, element by element and atomically:
//             x <- c,  c <- c - lr*g(x)
// Symbols:  c the center, as replica.mapped; x replica.x; g replica.gradient;
//           [P] float32.
// Units:    lr is --lr by the schedule.
// Errors:   INVALID_ARGUMENT for a local optimizer with a memory, a model with
//           statistics (batch norm), which have no atomic step, or a replica on
//           a device; UNIMPLEMENTED where the center is in another process;
//           OUT_OF_RANGE when a step would make an element infinite, which it
//           then leaves.
// Threads:  immutable, safe from any thread. Workers read the center while
//           others write it, as in the paper: a gradient is that of a mixture
//           of versions. Every access is a relaxed atomic one, no data race.
// Cost:     nothing travels; two passes over the parameters a step. With
//           updates=add none is lost (compare-and-swap); with updates=store, a
//           plain load and store, a step of one worker may overwrite another's.
// Departs:  gradients of neural networks are dense, where the paper's theory
//           needs sparse ones that seldom overlap; its rate that falls by a
//           factor between epochs is --lr-schedule step. A worker copies the
//           center before each step, where the paper's reads it on its way.
#include <atomic>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/device_queue.h"
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
    if (r.x.queue() != nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "trainer hogwild: found a replica in the memory of ",
          r.x.queue()->name(),
          ", expected one in the host's, where the "
          "center is that it steps in; use --device cpu or another trainer"));
    }
    RETURN_IF_ERROR(link.Pull(r.x));  // waits until it is there
    return link.Map(r.mapped);
  }
  void BeforeGradient(Replica& r) const override {
    r.x.CopyFromShared(r.mapped);
  }
  GradientSink Sink(Replica& r) const override { return {r.gradient}; }
  void AfterGradient(Replica& r) const override {
    r.PrepareGradient();
    const float lr = r.lr();
    const float* const g = r.gradient.data();
    for (int64_t i = 0; i < r.mapped.size(); ++i) {
      if (g[i] == 0) continue;  // as the paper's steps: on their support
      if (!Step(r.mapped[i], lr * g[i])) r.number(kLeft) = 1;
    }
  }
  bool Due(const Replica& r) const override { return r.number(kLeft) != 0; }
  absl::Status Exchange(Replica& r, Link&) const override {
    if (!Due(r)) return absl::OkStatus();
    return absl::OutOfRangeError(absl::StrCat(
        "training diverged: a step would make the center infinite, expected a "
        "finite center; what it would have, it left; lower --lr (now ",
        r.optimizer().lr(), ")"));
  }

 private:
  static constexpr char kLeft[] = "left";
  // False where c would not be finite any more, and stays as it is.
  bool Step(float& center, float way) const {
    std::atomic_ref<float> c(center);
    float now = c.load(std::memory_order_relaxed);
    do {
      const float next = now - way;
      if (!std::isfinite(next)) return false;
      if (!adds_) {
        c.store(next, std::memory_order_relaxed);
        return true;
      }
      if (c.compare_exchange_weak(now, next, std::memory_order_relaxed)) {
        return true;
      }
    } while (true);
  }

  const bool adds_;
};

REGISTER_TRAINER("hogwild", Hogwild,
                 {.title = "lock-free SGD in one memory",
                  .equation = "every step: c <- c - lr*g, atomically by "
                              "element",
                  .source = "Niu, Recht, Re, Wright 2011, NIPS, "
                            "arXiv:1106.5730",
                  .optimizer = "sgd",
                  .lr = 0.05f});

}  // namespace
}  // namespace monsoon
