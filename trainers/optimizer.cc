// SPDX-License-Identifier: Apache-2.0
#include "trainers/optimizer.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/spelling.h"
#include "trainers/elements.h"

// The elementwise rules. Symbols: x parameters, g gradient, all elementwise
// over [n]. Each is one pass over memory. Constants are PyTorch's defaults,
// except that momentum is 0.9 (PyTorch has none), as everywhere in the
// literature.
namespace monsoon {
namespace {

// The part of a slot that belongs to x.
Flat Part(Slots& slots, const char* name, int64_t offset, const Flat& x) {
  return slots.vector(name).Slice(offset, x.size());
}

class Sgd final : public Optimizer {
 public:
  explicit Sgd(float lr) : Optimizer(lr) {}
  bool is_plain_sgd() const override { return true; }
  void StepRange(float rate, const Flat& gradient, Flat& x, Slots&,
                 int64_t) const override {
    ForEach(SgdStep{rate}, x, gradient);
  }
};

class Momentum final : public Optimizer {
 public:
  explicit Momentum(float lr) : Optimizer(lr) {}
  void StepRange(float rate, const Flat& gradient, Flat& x, Slots& slots,
                 int64_t offset) const override {
    Flat velocity = Part(slots, "velocity", offset, x);
    ForEach(MomentumStep{rate}, x, velocity, gradient);
  }
};

class Nesterov final : public Optimizer {
 public:
  explicit Nesterov(float lr) : Optimizer(lr) {}
  void StepRange(float rate, const Flat& gradient, Flat& x, Slots& slots,
                 int64_t offset) const override {
    Flat velocity = Part(slots, "velocity", offset, x);
    ForEach(NesterovStep{rate}, x, velocity, gradient);
  }
};

class Adagrad final : public Optimizer {
 public:
  explicit Adagrad(float lr) : Optimizer(lr) {}
  void StepRange(float rate, const Flat& gradient, Flat& x, Slots& slots,
                 int64_t offset) const override {
    Flat squares = Part(slots, "squares", offset, x);
    ForEach(AdagradStep{rate}, x, squares, gradient);
  }
};

class Adam final : public Optimizer {
 public:
  explicit Adam(float lr) : Optimizer(lr) {}
  void Begin(Slots& slots) const override { slots.number("steps") += 1; }
  void StepRange(float rate, const Flat& gradient, Flat& x, Slots& slots,
                 int64_t offset) const override {
    constexpr float kBeta1 = AdamStep::kBeta1, kBeta2 = AdamStep::kBeta2;
    const double t = slots.number("steps");
    // Both corrections of the zero start, once for all elements.
    const auto scale =
        static_cast<float>(rate / (1 - std::pow(double{kBeta1}, t)));
    const auto grow = static_cast<float>(1 / (1 - std::pow(double{kBeta2}, t)));
    Flat mean = Part(slots, "mean", offset, x);
    Flat squares = Part(slots, "squares", offset, x);
    ForEach(AdamStep{scale, grow}, x, mean, squares, gradient);
  }
};

const bool kRegistered =
    RegisterOptimizer<Sgd>("sgd", "x -= lr*g", "Robbins, Monro 1951") &&
    RegisterOptimizer<Momentum>("momentum", "v = 0.9*v + g; x -= lr*v",
                                "Polyak 1964, in PyTorch's form") &&
    RegisterOptimizer<Nesterov>("nesterov",
                                "v = 0.9*v + g; x -= lr*(g + 0.9*v)",
                                "Nesterov 1983, in PyTorch's form") &&
    RegisterOptimizer<Adagrad>("adagrad",
                               "G += g*g; x -= lr*g/(sqrt(G) + 1e-10)",
                               "Duchi, Hazan, Singer 2011") &&
    RegisterOptimizer<Adam>("adam",
                            "m = 0.9*m + 0.1*g; q = 0.999*q + 0.001*g*g; "
                            "x -= lr*m/(1-0.9^t)/(sqrt(q/(1-0.999^t)) + 1e-8)",
                            "Kingma, Ba 2015, arXiv:1412.6980");

}  // namespace

absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(
    const std::string& name, float lr) {
  const OptimizerEntry* entry = Registry<OptimizerEntry>::Get().Find(name);
  if (entry == nullptr) {
    return absl::InvalidArgumentError(
        UnknownName("optimizer", name, OptimizerNames()));
  }
  if (!std::isfinite(lr) || lr <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("learning rate ", lr, " of optimizer ", name,
                     ": expected a finite number above 0, for example 0.1"));
  }
  return entry->make(lr);
}

std::vector<std::string> OptimizerNames() {
  return Registry<OptimizerEntry>::Get().names();
}

std::vector<std::string> ServerOptimizerNames() {
  std::vector<std::string> names = OptimizerNames();
  std::erase_if(names, [](const std::string& name) {
    return Registry<OptimizerEntry>::Get().Find(name)->make(1)->takes_tensors();
  });
  return names;
}

}  // namespace monsoon
