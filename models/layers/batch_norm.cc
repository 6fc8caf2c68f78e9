// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/batch_norm.h"

#include <memory>
#include <utility>

#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

template <typename Kernel, typename Number>
class BatchNormOperator final : public Operator {
 public:
  BatchNormOperator(const Placement& place, std::unique_ptr<Kernel> kernel)
      : x_(DataOf<Number>(place.inputs[0])),
        dx_(GradientOf<Number>(place.inputs[0])),
        y_(DataOf<Number>(place.output)),
        dy_(GradientOf<Number>(place.output)),
        offsets_(place.offsets),
        kernel_(std::move(kernel)) {}

  void Forward(const Pass& pass) override {
    float* x = pass.x.data();
    const BatchNormAffine affine{x + offsets_[0], x + offsets_[1]};
    const BatchNormRunning running{x + offsets_[2], x + offsets_[3]};
    if (pass.training) {
      kernel_->Train(x_, affine, running, y_);
    } else {
      kernel_->Evaluate(x_, affine, running, y_);
    }
  }

  void Backward(const Pass& pass, const GradientSink& sink) override {
    kernel_->Backward(x_, dy_, pass.x.data() + offsets_[0], dx_,
                      {sink, offsets_[0]}, {sink, offsets_[1]});
  }

 private:
  Number *x_, *dx_, *y_, *dy_;
  std::vector<int64_t> offsets_;  // scale, shift, running mean and variance
  std::unique_ptr<Kernel> kernel_;
};

class BatchNormLayer final : public Layer {
 public:
  explicit BatchNormLayer(const BatchNormOptions& options)
      : options_(options) {}

  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    return inputs[0];
  }

  std::vector<Parameter> Parameters(
      absl::Span<const Shape> inputs) const override {
    const std::vector<int64_t> shape = {inputs[0].channels};
    return {{"weight", shape, TensorKind::kNoDecay, Constant(1)},
            {"bias", shape, TensorKind::kNoDecay},
            {"running_mean", shape, TensorKind::kStatistic},
            {"running_var", shape, TensorKind::kStatistic, Constant(1)}};
  }

  bool couples_examples() const override { return true; }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    const Value& in = place.inputs[0];
    place.output.block = in.block;
    return MakeOperator<BatchNormKernelOf, BatchNormOperator>(
        place, {.batch = place.batch,
                .shape = in.shape,
                .block = in.block,
                .momentum = options_.momentum,
                .epsilon = options_.epsilon});
  }

 private:
  BatchNormOptions options_;
};

}  // namespace

std::unique_ptr<Layer> BatchNorm(const BatchNormOptions& options) {
  return std::make_unique<BatchNormLayer>(options);
}

}  // namespace monsoon
