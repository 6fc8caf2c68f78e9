// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/concat.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/layers/layers.h"

namespace monsoon {
namespace {

class ConcatOperator final : public Operator {
 public:
  ConcatOperator(const Placement& place, std::unique_ptr<ConcatKernel> kernel)
      : out_(place.output), kernel_(std::move(kernel)) {
    for (const Value& in : place.inputs) {
      data_.push_back(in.data);
      gradients_.push_back(in.gradient);
    }
  }

  void Forward(const Pass&) override { kernel_->Forward(data_, out_.data); }
  void Backward(const Pass&, const GradientSink&) override {
    kernel_->Backward(out_.gradient, gradients_);
  }

 private:
  std::vector<const float*> data_;  // of the inputs
  std::vector<float*> gradients_;
  Value out_;
  std::unique_ptr<ConcatKernel> kernel_;
};

class ConcatLayer final : public Layer {
 public:
  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    Shape out = inputs[0];
    for (const Shape& in : inputs.subspan(1)) {
      if (in.height != out.height || in.width != out.width) {
        return absl::InvalidArgumentError(absl::StrCat(
            "cannot put channels of ", in.ToString(), " behind those of ",
            inputs[0].ToString(), "; expected equal heights and widths"));
      }
      out.channels += in.channels;
    }
    return out;
  }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    const Shape& shape = place.output.shape;
    ConcatKernel::Spec spec{.batch = place.batch,
                            .space = shape.height * shape.width};
    for (const Value& in : place.inputs) {
      spec.parts.push_back({in.shape.channels, in.block});
    }
    ASSIGN_OR_RETURN(auto kernel, MakeKernel<ConcatKernel>(place.device, spec));
    place.output.block = kernel->output_block();
    return std::make_unique<ConcatOperator>(place, std::move(kernel));
  }
};

}  // namespace

std::unique_ptr<Layer> Concat() { return std::make_unique<ConcatLayer>(); }

}  // namespace monsoon
