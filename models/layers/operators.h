// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "models/kernels/kernel.h"
#include "models/kernels/tensor_sink.h"
#include "models/layer.h"

// What layers have in common once they are built.
namespace monsoon {

// A layer with weight and bias, in this order, or without the bias (which then
// is 0 for each channel of the output, its gradient dropped), over a kernel
// with Forward(x, w, b, y) and Backward(x, y, w, dy, dx, dw, db).
template <typename Kernel>
class WeightedOperator final : public Operator {
 public:
  WeightedOperator(const Placement& place, std::unique_ptr<Kernel> kernel)
      : x_(DataOf<typename Kernel::Input>(place.inputs[0])),
        dx_(GradientOf<typename Kernel::Input>(place.inputs[0])),
        y_(DataOf<typename Kernel::Output>(place.output)),
        dy_(GradientOf<typename Kernel::Output>(place.output)),
        offsets_(place.offsets),
        kernel_(std::move(kernel)) {
    if (offsets_.size() == 2) return;
    no_bias_ = Flat(place.output.shape.channels, place.device.memory());
    dropped_ = Flat(place.output.shape.channels, place.device.memory());
  }

  void Forward(const Pass& pass) override {
    const float* x = pass.x.data();
    kernel_->Forward(x_, x + offsets_[0],
                     no_bias_.empty() ? x + offsets_[1] : no_bias_.data(), y_);
  }

  void Backward(const Pass& pass, const GradientSink& sink) override {
    const TensorSink db = no_bias_.empty() ? TensorSink(sink, offsets_[1])
                                           : TensorSink({dropped_}, 0);
    kernel_->Backward(x_, y_, pass.x.data() + offsets_[0], dy_, dx_,
                      {sink, offsets_[0]}, db);
  }

  std::string way() const override {
    if constexpr (requires { kernel_->way(); }) return kernel_->way();
    return "";
  }

 private:
  typename Kernel::Input *x_, *dx_;
  typename Kernel::Output *y_, *dy_;
  std::vector<int64_t> offsets_;  // of weight and bias
  Flat no_bias_, dropped_;        // where there is no bias: zeros, any numbers
  std::unique_ptr<Kernel> kernel_;
};

// The operator of a layer with weights, over the kernel for its values' types.
// Sets the block of the output, if the kernel has a say in it.
template <template <typename, typename> class KernelOf>
absl::StatusOr<std::unique_ptr<Operator>> MakeWeightedOperator(
    Placement& place, const typename KernelOf<float, float>::Spec& spec) {
  const auto make =
      [&]<typename Kernel>() -> absl::StatusOr<std::unique_ptr<Operator>> {
    ASSIGN_OR_RETURN(auto kernel, MakeKernel<Kernel>(place.device, spec));
    if constexpr (requires { kernel->output_block(); }) {
      place.output.block = kernel->output_block();
    }
    return std::make_unique<WeightedOperator<Kernel>>(place, std::move(kernel));
  };
  const bool writes_bf16 = place.output.type == DataType::kBf16;
  if (place.inputs[0].type == DataType::kFloat32) {
    return make.template operator()<KernelOf<float, float>>();
  }
  return writes_bf16 ? make.template operator()<KernelOf<Bf16, Bf16>>()
                     : make.template operator()<KernelOf<Bf16, float>>();
}

// A layer without parameters whose gradient needs no more than its output,
// Backward(y, dy, dx), or what its kernel remembers, Backward(dy, dx). Its
// Forward is Forward(x, y).
template <typename Kernel, typename Number>
class PlainOperator final : public Operator {
 public:
  PlainOperator(const Placement& place, std::unique_ptr<Kernel> kernel)
      : x_(DataOf<Number>(place.inputs[0])),
        dx_(GradientOf<Number>(place.inputs[0])),
        y_(DataOf<Number>(place.output)),
        dy_(GradientOf<Number>(place.output)),
        kernel_(std::move(kernel)) {}

  void Forward(const Pass&) override { kernel_->Forward(x_, y_); }

  void Backward(const Pass&, const GradientSink&) override {
    if (dx_ == nullptr) return;
    if constexpr (kReadsOutput) {
      kernel_->Backward(y_, dy_, dx_);
    } else {
      kernel_->Backward(dy_, dx_);
    }
  }

 private:
  static constexpr bool kReadsOutput =
      requires(Kernel & kernel, const Number* y, Number* dx) {
    kernel.Backward(y, y, dx);
  };

  Number *x_, *dx_, *y_, *dy_;
  std::unique_ptr<Kernel> kernel_;
};

// OperatorOf<Kernel, Number> over the kernel for the type of its values. Sets
// the block of the output, if the kernel has a say in it.
template <template <typename> class KernelOf,
          template <typename, typename> class OperatorOf = PlainOperator>
absl::StatusOr<std::unique_ptr<Operator>> MakeOperator(
    Placement& place, const typename KernelOf<float>::Spec& spec) {
  return WithType(
      place.output.type,
      [&]<typename Number>() -> absl::StatusOr<std::unique_ptr<Operator>> {
        using Kernel = KernelOf<Number>;
        ASSIGN_OR_RETURN(auto kernel, MakeKernel<Kernel>(place.device, spec));
        if constexpr (requires { kernel->output_block(); }) {
          place.output.block = kernel->output_block();
        }
        return std::make_unique<OperatorOf<Kernel, Number>>(place,
                                                            std::move(kernel));
      });
}

}  // namespace monsoon
