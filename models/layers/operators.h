// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "models/layer.h"

// What layers of one input have in common once they are built.
namespace monsoon {

// A layer with weight and bias, in this order, over a kernel with
// Forward(x, w, b, y) and Backward(x, y, w, dy, dx, dw, db).
template <typename Kernel>
class WeightedOperator final : public Operator {
 public:
  WeightedOperator(const Placement& place, std::unique_ptr<Kernel> kernel)
      : in_(place.inputs[0]),
        out_(place.output),
        weight_(place.offsets[0]),
        bias_(place.offsets[1]),
        kernel_(std::move(kernel)) {}

  void Forward(const Pass& pass) override {
    kernel_->Forward(in_.data, pass.x.data() + weight_, pass.x.data() + bias_,
                     out_.data);
  }

  void Backward(const Pass& pass, const GradientSink& sink) override {
    kernel_->Backward(in_.data, out_.data, pass.x.data() + weight_,
                      out_.gradient, in_.gradient, {sink, weight_},
                      {sink, bias_});
  }

  std::string way() const override {
    if constexpr (requires { kernel_->way(); }) return kernel_->way();
    return "";
  }

 private:
  Value in_, out_;
  int64_t weight_, bias_;
  std::unique_ptr<Kernel> kernel_;
};

// A layer without parameters whose gradient needs no more than what its kernel
// remembers: Forward(x, y) and Backward(dy, dx).
template <typename Kernel>
class PlainOperator final : public Operator {
 public:
  PlainOperator(const Placement& place, std::unique_ptr<Kernel> kernel)
      : in_(place.inputs[0]), out_(place.output), kernel_(std::move(kernel)) {}

  void Forward(const Pass&) override { kernel_->Forward(in_.data, out_.data); }

  void Backward(const Pass&, const GradientSink&) override {
    if (in_.gradient == nullptr) return;
    kernel_->Backward(out_.gradient, in_.gradient);
  }

 private:
  Value in_, out_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace monsoon
