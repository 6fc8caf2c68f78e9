// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/relu.h"

#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "models/layers/layers.h"

namespace monsoon {
namespace {

class ReluOperator final : public Operator {
 public:
  ReluOperator(const Placement& place, std::unique_ptr<ReluKernel> kernel)
      : in_(place.inputs[0]), out_(place.output), kernel_(std::move(kernel)) {}

  void Forward(const Pass&) override { kernel_->Forward(in_.data, out_.data); }

  void Backward(const Pass&, const GradientSink&) override {
    if (in_.gradient == nullptr) return;
    kernel_->Backward(out_.data, out_.gradient, in_.gradient);
  }

 private:
  Value in_, out_;
  std::unique_ptr<ReluKernel> kernel_;
};

class ReluLayer final : public Layer {
 public:
  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    return inputs[0];
  }
  bool in_place() const override { return true; }
  bool needs_output() const override { return true; }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    ASSIGN_OR_RETURN(
        auto kernel,
        MakeKernel<ReluKernel>(
            place.device, {.size = place.batch * place.output.shape.size()}));
    place.output.block = place.inputs[0].block;
    return std::make_unique<ReluOperator>(place, std::move(kernel));
  }
};

}  // namespace

std::unique_ptr<Layer> Relu() { return std::make_unique<ReluLayer>(); }

}  // namespace monsoon
