// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/flat.h"
#include "base/registry.h"
#include "trainers/slots.h"

namespace monsoon {

// One tensor of a model, as rules see it that look at whole tensors.
struct TensorStep {
  int64_t offset = 0;     // of the tensor, in the slots' vectors
  float decay = 0;        // times the tensor, of weights
  bool is_weight = true;  // no bias, no scale of batch norm
};

// A rule that moves x along a gradient: x <- x - rate * direction(gradient).
// The same object is a local optimizer on a replica and a server optimizer on
// a shard: it is immutable, and all it remembers lies in the slots that come
// with x. Elementwise, hence indifferent to how x is cut into shards, or a step
// into ranges; but for those that take whole tensors, which are local only.
// Safe from any thread.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // One step: Begin, and StepRange over all. `gradient` is not kept.
  void Step(float rate, const Flat& gradient, Flat& x, Slots& slots) const {
    Begin(slots);
    StepRange(rate, gradient, x, slots, 0);
  }
  // One step at lr().
  void Step(const Flat& gradient, Flat& x, Slots& slots) const {
    Step(lr_, gradient, x, slots);
  }
  // Once before the ranges of a step: counts it, for rules that do.
  virtual void Begin(Slots&) const {}
  // A part of a step: `x` and `gradient` are the same range of the whole, which
  // starts at `offset` of the slots' vectors. The ranges of a step may come in
  // any order, as soon as their gradients are there.
  virtual void StepRange(float rate, const Flat& gradient, Flat& x,
                         Slots& slots, int64_t offset) const = 0;
  // True for rules of whole tensors: StepTensor in place of StepRange. They
  // apply weight decay themselves.
  virtual bool takes_tensors() const { return false; }
  virtual void StepTensor(float /*rate*/, const TensorStep& /*tensor*/,
                          const Flat& /*gradient*/, Flat& /*x*/,
                          Slots& /*slots*/) const {}
  // The rate that was asked for; what a step takes may be less of it.
  float lr() const { return lr_; }
  // True for x <- x - rate * gradient without memory.
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
// Sorted.
std::vector<std::string> OptimizerNames();
// Those that can be a rule on the servers, which do not see whole tensors.
std::vector<std::string> ServerOptimizerNames();

// At namespace scope of the rule's file.
template <typename Rule>
bool RegisterOptimizer(const char* name, const char* equation,
                       const char* source) {
  OptimizerEntry entry;
  entry.equation = equation;
  entry.source = source;
  entry.make = [](float lr) -> std::unique_ptr<Optimizer> {
    return std::make_unique<Rule>(lr);
  };
  Registry<OptimizerEntry>::Get().Add(name, std::move(entry));
  return true;
}

}  // namespace monsoon
