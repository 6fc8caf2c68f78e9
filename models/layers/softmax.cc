// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/softmax.h"

#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "models/layers/layers.h"

namespace monsoon {
namespace {

class SoftmaxOperator final : public Operator {
 public:
  SoftmaxOperator(const Placement& place, std::unique_ptr<SoftmaxKernel> kernel)
      : in_(place.inputs[0]), out_(place.output), kernel_(std::move(kernel)) {}

  void Forward(const Pass&) override { kernel_->Forward(in_.data, out_.data); }
  void Backward(const Pass&, const GradientSink&) override {
    if (in_.gradient == nullptr) return;
    kernel_->Backward(out_.data, out_.gradient, in_.gradient);
  }

 private:
  Value in_, out_;
  std::unique_ptr<SoftmaxKernel> kernel_;
};

class SoftmaxLayer final : public Layer {
 public:
  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    return inputs[0];
  }
  bool in_place() const override { return true; }
  bool needs_output() const override { return true; }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    const Value& in = place.inputs[0];
    ASSIGN_OR_RETURN(auto kernel,
                     MakeKernel<SoftmaxKernel>(
                         place.device, {place.batch, in.shape, in.block}));
    place.output.block = in.block;
    return std::make_unique<SoftmaxOperator>(place, std::move(kernel));
  }
};

}  // namespace

std::unique_ptr<Layer> Softmax() { return std::make_unique<SoftmaxLayer>(); }

}  // namespace monsoon
