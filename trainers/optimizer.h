// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/flat.h"
#include "base/registry.h"
#include "trainers/slots.h"

namespace monsoon {

// A rule that moves x along a gradient: x <- x - lr * direction(gradient).
// The same object is a local optimizer on a replica and a server optimizer on
// a shard: it is immutable, and all it remembers lies in the slots that come
// with x. Elementwise, hence indifferent to how x is cut into shards.
// Safe from any thread.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // One step. gradient, x and the slots' vectors have one size; `gradient` is
  // not kept.
  virtual void Step(const Flat& gradient, Flat& x, Slots& slots) const = 0;
  float lr() const { return lr_; }
  // True for x <- x - lr * gradient without memory.
  virtual bool is_plain_sgd() const { return false; }

 protected:
  explicit Optimizer(float lr) : lr_(lr) {}

 private:
  float lr_;
};

struct OptimizerEntry {
  std::string equation;  // in ASCII, one line
  std::string source;
  std::unique_ptr<Optimizer> (*make)(float lr);
};

// INVALID_ARGUMENT for an unknown name or a rate that is not a positive number.
absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(
    const std::string& name, float lr);
// Sorted: "adagrad", "adam", "momentum", "nesterov", "sgd".
std::vector<std::string> OptimizerNames();

}  // namespace monsoon
