// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/add.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

template <typename Kernel, typename Number>
class AddOperator final : public Operator {
 public:
  AddOperator(const Placement& place, std::unique_ptr<Kernel> kernel)
      : a_(DataOf<Number>(place.inputs[0])),
        b_(DataOf<Number>(place.inputs[1])),
        y_(DataOf<Number>(place.output)),
        da_(GradientOf<Number>(place.inputs[0])),
        db_(GradientOf<Number>(place.inputs[1])),
        dy_(GradientOf<Number>(place.output)),
        kernel_(std::move(kernel)) {}

  void Forward(const Pass&) override { kernel_->Forward(a_, b_, y_); }
  void Backward(const Pass&, const GradientSink&) override {
    kernel_->Backward(dy_, da_, db_);
  }

 private:
  Number *a_, *b_, *y_, *da_, *db_, *dy_;
  std::unique_ptr<Kernel> kernel_;
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
    place.output.block = in.block;
    return MakeOperator<AddKernelOf, AddOperator>(
        place, {.batch = place.batch,
                .shape = in.shape,
                .block = in.block,
                .b_block = place.inputs[1].block});
  }
};

}  // namespace

std::unique_ptr<Layer> Add() { return std::make_unique<AddLayer>(); }

}  // namespace monsoon
