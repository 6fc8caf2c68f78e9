// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/add.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "models/layers/layers.h"

namespace monsoon {
namespace {

class AddOperator final : public Operator {
 public:
  AddOperator(const Placement& place, std::unique_ptr<AddKernel> kernel)
      : a_(place.inputs[0]),
        b_(place.inputs[1]),
        out_(place.output),
        kernel_(std::move(kernel)) {}

  void Forward(const Pass&) override {
    kernel_->Forward(a_.data, b_.data, out_.data);
  }
  void Backward(const Pass&, const GradientSink&) override {
    kernel_->Backward(out_.gradient, a_.gradient, b_.gradient);
  }

 private:
  Value a_, b_, out_;
  std::unique_ptr<AddKernel> kernel_;
};

class AddLayer final : public Layer {
 public:
  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    MONSOON_CHECK(inputs.size() == 2, "two are added");
    if (inputs[0] != inputs[1]) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot add ", inputs[1].ToString(), " to ",
                       inputs[0].ToString(), "; expected equal shapes"));
    }
    return inputs[0];
  }
  bool in_place() const override { return true; }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    const Value& in = place.inputs[0];
    ASSIGN_OR_RETURN(auto kernel,
                     MakeKernel<AddKernel>(place.device,
                                           {.batch = place.batch,
                                            .shape = in.shape,
                                            .block = in.block,
                                            .b_block = place.inputs[1].block}));
    place.output.block = in.block;
    return std::make_unique<AddOperator>(place, std::move(kernel));
  }
};

}  // namespace

std::unique_ptr<Layer> Add() { return std::make_unique<AddLayer>(); }

}  // namespace monsoon
