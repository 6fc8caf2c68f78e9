// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/kernels/tensor_sink.h"
#include "models/layer.h"

// What layers of one input have in common once they are built.
namespace monsoon {

// A layer with weight and bias, in this order, or without the bias (which then
// is 0 for each channel of the output, its gradient dropped), over a kernel
// with Forward(x, w, b, y) and Backward(x, y, w, dy, dx, dw, db).
template <typename Kernel>
class WeightedOperator final : public Operator {
 public:
  WeightedOperator(const Placement& place, std::unique_ptr<Kernel> kernel)
      : in_(place.inputs[0]),
        out_(place.output),
        offsets_(place.offsets),
        kernel_(std::move(kernel)) {
    if (offsets_.size() == 2) return;
    no_bias_ = Flat(out_.shape.channels, place.device.memory());
    dropped_ = Flat(out_.shape.channels, place.device.memory());
  }

  void Forward(const Pass& pass) override {
    const float* x = pass.x.data();
    kernel_->Forward(in_.data, x + offsets_[0],
                     no_bias_.empty() ? x + offsets_[1] : no_bias_.data(),
                     out_.data);
  }

  void Backward(const Pass& pass, const GradientSink& sink) override {
    const TensorSink db = no_bias_.empty() ? TensorSink(sink, offsets_[1])
                                           : TensorSink({dropped_}, 0);
    kernel_->Backward(in_.data, out_.data, pass.x.data() + offsets_[0],
                      out_.gradient, in_.gradient, {sink, offsets_[0]}, db);
  }

  std::string way() const override {
    if constexpr (requires { kernel_->way(); }) return kernel_->way();
    return "";
  }

 private:
  Value in_, out_;
  std::vector<int64_t> offsets_;  // of weight and bias
  Flat no_bias_, dropped_;        // where there is no bias: zeros, any numbers
  std::unique_ptr<Kernel> kernel_;
};

// A layer without parameters whose gradient needs no more than its output,
// Backward(y, dy, dx), or what its kernel remembers, Backward(dy, dx). Its
// Forward is Forward(x, y).
template <typename Kernel>
class PlainOperator final : public Operator {
 public:
  PlainOperator(const Placement& place, std::unique_ptr<Kernel> kernel)
      : in_(place.inputs[0]), out_(place.output), kernel_(std::move(kernel)) {}

  void Forward(const Pass&) override { kernel_->Forward(in_.data, out_.data); }

  void Backward(const Pass&, const GradientSink&) override {
    if (in_.gradient == nullptr) return;
    if constexpr (kReadsOutput) {
      kernel_->Backward(out_.data, out_.gradient, in_.gradient);
    } else {
      kernel_->Backward(out_.gradient, in_.gradient);
    }
  }

 private:
  static constexpr bool kReadsOutput =
      requires(Kernel & kernel, const float* y, float* dx) {
    kernel.Backward(y, y, dx);
  };

  Value in_, out_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace monsoon
