// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/dropout.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"
#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): close draws and nodes
// give keys that have nothing in common.
uint64_t KeyOf(uint64_t draw, int64_t node) {
  uint64_t z = draw + static_cast<uint64_t>(node + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

template <typename Kernel, typename Number>
class DropoutOperator final : public Operator {
 public:
  DropoutOperator(const Placement& place, std::unique_ptr<Kernel> kernel)
      : x_(DataOf<Number>(place.inputs[0])),
        dx_(GradientOf<Number>(place.inputs[0])),
        y_(DataOf<Number>(place.output)),
        dy_(GradientOf<Number>(place.output)),
        size_(place.batch * place.output.shape.size()),
        node_(place.node),
        queue_(place.device.queue),
        kernel_(std::move(kernel)) {}

  void Forward(const Pass& pass) override {
    if (pass.training) {
      kernel_->Apply(KeyOf(pass.draw, node_), x_, y_);
    } else if (y_ != x_ && queue_ != nullptr) {
      queue_->Copy(y_, x_, static_cast<size_t>(size_) * sizeof(Number));
    } else if (y_ != x_) {
      std::copy_n(x_, size_, y_);
    }
  }

  void Backward(const Pass& pass, const GradientSink&) override {
    if (dx_ == nullptr) return;
    kernel_->Apply(KeyOf(pass.draw, node_), dy_, dx_);
  }

 private:
  Number *x_, *dx_, *y_, *dy_;
  int64_t size_, node_;
  DeviceQueue* queue_;
  std::unique_ptr<Kernel> kernel_;
};

class DropoutLayer final : public Layer {
 public:
  explicit DropoutLayer(double rate) : rate_(rate) {
    MONSOON_CHECK(rate >= 0 && rate < 1, "a dropout rate lies in [0, 1)");
  }

  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    return inputs[0];
  }
  bool in_place() const override { return true; }
  bool draws() const override { return true; }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    place.output.block = place.inputs[0].block;
    return MakeOperator<DropoutKernelOf, DropoutOperator>(
        place,
        {.size = place.batch * place.output.shape.size(), .rate = rate_});
  }

 private:
  double rate_;
};

}  // namespace

std::unique_ptr<Layer> Dropout(double rate) {
  return std::make_unique<DropoutLayer>(rate);
}

}  // namespace monsoon
