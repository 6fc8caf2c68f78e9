// SPDX-License-Identifier: Apache-2.0
//
// The rules that look at whole tensors: weight decay that is not part of the
// gradient, and rates of layers. Worker only: a shard is any range. Symbols: w
// a tensor, g its gradient, wd --weight-decay (0 for biases and normalization);
// norms are Euclidean, over the tensor.
#include <cmath>

#include "trainers/elements.h"
#include "trainers/optimizer.h"

namespace monsoon {
namespace {

constexpr float kBeta1 = AdamStep::kBeta1, kBeta2 = AdamStep::kBeta2;

// A tensor's part of a slot.
Flat Part(Slots& slots, const char* name, const TensorStep& tensor,
          const Flat& x) {
  return slots.vector(name).Slice(tensor.offset, x.size());
}

class TensorRule : public Optimizer {
 public:
  explicit TensorRule(float lr) : Optimizer(lr) {}
  bool takes_tensors() const override { return true; }
  // Without tensors: as one weight that does not decay.
  void StepRange(float rate, const Flat& gradient, Flat& x, Slots& slots,
                 int64_t offset) const override {
    StepTensor(rate, {.offset = offset}, gradient, x, slots);
  }
};

// Adam's two means, and what corrects their start from zero.
struct AdamState {
  AdamState(Slots& slots, const TensorStep& tensor, const Flat& x)
      : mean(Part(slots, "mean", tensor, x)),
        squares(Part(slots, "squares", tensor, x)) {
    const double t = slots.number("steps");
    grow_mean = static_cast<float>(1 / (1 - std::pow(double{kBeta1}, t)));
    grow_squares = static_cast<float>(1 / (1 - std::pow(double{kBeta2}, t)));
  }
  Flat mean, squares;
  float grow_mean = 1, grow_squares = 1;
};

// Loshchilov, Hutter 2019, arXiv:1711.05101, in PyTorch's form: the decay is
// lr*wd, not wd alone. Without decay it is adam, bit for bit.
class AdamW final : public TensorRule {
 public:
  explicit AdamW(float lr) : TensorRule(lr) {}
  void Begin(Slots& slots) const override { slots.number("steps") += 1; }
  void StepTensor(float rate, const TensorStep& tensor, const Flat& gradient,
                  Flat& x, Slots& slots) const override {
    AdamState state(slots, tensor, x);
    const double t = slots.number("steps");
    // As adam has it: one rounding of rate and correction together.
    const auto scale =
        static_cast<float>(double{rate} / (1 - std::pow(double{kBeta1}, t)));
    const float keep = 1 - rate * tensor.decay;
    ForEach(AdamWStep{scale, state.grow_squares, keep}, x, state.mean,
            state.squares, gradient);
  }
};

// You, Gitman, Ginsburg 2017, arXiv:1708.03888. The rate multiplies the
// velocity, where the paper puts it into the velocity: with a constant rate the
// same. Biases take the plain momentum step.
class Lars final : public TensorRule {
 public:
  explicit Lars(float lr) : TensorRule(lr) {}
  void StepTensor(float rate, const TensorStep& tensor, const Flat& gradient,
                  Flat& x, Slots& slots) const override {
    constexpr double kTrust = 0.001, kEpsilon = 1e-8;
    const double decay = tensor.decay;
    double ratio = 1;
    if (tensor.is_weight) {
      const double norm = Norm(x), gradient_norm = Norm(gradient);
      if (norm > 0 && gradient_norm > 0) {
        ratio = kTrust * norm / (gradient_norm + decay * norm + kEpsilon);
      }
    }
    Flat velocity = Part(slots, "velocity", tensor, x);
    ForEach(LarsStep{rate, static_cast<float>(ratio), tensor.decay}, x,
            velocity, gradient);
  }
};

// You et al. 2020, arXiv:1904.00962: Adam's direction with decay, at the length
// of the tensor. Biases take the direction as it is.
class Lamb final : public TensorRule {
 public:
  explicit Lamb(float lr) : TensorRule(lr) {}
  void Begin(Slots& slots) const override { slots.number("steps") += 1; }
  void StepTensor(float rate, const TensorStep& tensor, const Flat& gradient,
                  Flat& x, Slots& slots) const override {
    AdamState state(slots, tensor, x);
    Flat direction = Part(slots, "direction", tensor, x);
    ForEach(LambDirection{state.grow_mean, state.grow_squares, tensor.decay},
            direction, state.mean, state.squares, x, gradient);
    double ratio = 1;
    if (tensor.is_weight) {
      const double norm = Norm(x), length = Norm(direction);
      if (norm > 0 && length > 0) ratio = norm / length;
    }
    ForEach(SgdStep{static_cast<float>(double{rate} * ratio)}, x, direction);
  }
};

const bool kRegistered =
    RegisterOptimizer<AdamW>("adamw", "w = (1 - lr*wd)*w, then adam",
                             "Loshchilov, Hutter 2019, arXiv:1711.05101") &&
    RegisterOptimizer<Lars>(
        "lars",
        "r = 0.001*|w|/(|g| + wd*|w| + 1e-8); v = 0.9*v + r*(g + wd*w); "
        "w -= lr*v",
        "You, Gitman, Ginsburg 2017, arXiv:1708.03888") &&
    RegisterOptimizer<Lamb>("lamb",
                            "d = adam's direction + wd*w; w -= lr*|w|/|d|*d",
                            "You et al. 2020, arXiv:1904.00962");

}  // namespace
}  // namespace monsoon
