// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/batch_norm.h"

#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "models/layers/layers.h"

namespace monsoon {
namespace {

class BatchNormOperator final : public Operator {
 public:
  BatchNormOperator(const Placement& place,
                    std::unique_ptr<BatchNormKernel> kernel)
      : in_(place.inputs[0]),
        out_(place.output),
        offsets_(place.offsets),
        kernel_(std::move(kernel)) {}

  void Forward(const Pass& pass) override {
    float* x = pass.x.data();
    const BatchNormKernel::Affine affine{x + offsets_[0], x + offsets_[1]};
    const BatchNormKernel::Running running{x + offsets_[2], x + offsets_[3]};
    if (pass.training) {
      kernel_->Train(in_.data, affine, running, out_.data);
    } else {
      kernel_->Evaluate(in_.data, affine, running, out_.data);
    }
  }

  void Backward(const Pass& pass, const GradientSink& sink) override {
    kernel_->Backward(in_.data, out_.gradient, pass.x.data() + offsets_[0],
                      in_.gradient, {sink, offsets_[0]}, {sink, offsets_[1]});
  }

 private:
  Value in_, out_;
  std::vector<int64_t> offsets_;  // scale, shift, running mean and variance
  std::unique_ptr<BatchNormKernel> kernel_;
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
    ASSIGN_OR_RETURN(auto kernel,
                     MakeKernel<BatchNormKernel>(
                         place.device, {.batch = place.batch,
                                        .shape = in.shape,
                                        .block = in.block,
                                        .momentum = options_.momentum,
                                        .epsilon = options_.epsilon}));
    place.output.block = in.block;
    return std::make_unique<BatchNormOperator>(place, std::move(kernel));
  }

 private:
  BatchNormOptions options_;
};

}  // namespace

std::unique_ptr<Layer> BatchNorm(const BatchNormOptions& options) {
  return std::make_unique<BatchNormLayer>(options);
}

}  // namespace monsoon
