// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/concat.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

template <typename Kernel, typename Number>
class ConcatOperator final : public Operator {
 public:
  ConcatOperator(const Placement& place, std::unique_ptr<Kernel> kernel)
      : y_(DataOf<Number>(place.output)),
        dy_(GradientOf<Number>(place.output)),
        kernel_(std::move(kernel)) {
    for (const Value& in : place.inputs) {
      x_.push_back(DataOf<Number>(in));
      dx_.push_back(GradientOf<Number>(in));
    }
  }

  void Forward(const Pass&) override { kernel_->Forward(x_, y_); }
  void Backward(const Pass&, const GradientSink&) override {
    kernel_->Backward(dy_, dx_);
  }

 private:
  std::vector<const Number*> x_;  // of the inputs
  std::vector<Number*> dx_;
  Number *y_, *dy_;
  std::unique_ptr<Kernel> kernel_;
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
    ConcatSpec spec{.batch = place.batch, .space = shape.height * shape.width};
    for (const Value& in : place.inputs) {
      spec.parts.push_back({in.shape.channels, in.block});
    }
    return MakeOperator<ConcatKernelOf, ConcatOperator>(place, spec);
  }
};

}  // namespace

std::unique_ptr<Layer> Concat() { return std::make_unique<ConcatLayer>(); }

}  // namespace monsoon
