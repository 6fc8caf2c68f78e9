// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/dense.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

class DenseLayer final : public Layer {
 public:
  DenseLayer(int64_t units, const Initializer& weight)
      : units_(units), initializer_(weight) {}

  absl::StatusOr<Shape> OutputShape(absl::Span<const Shape>) const override {
    return Shape{.channels = units_};
  }

  std::vector<Parameter> Parameters(
      absl::Span<const Shape> inputs) const override {
    return {{"weight",
             {units_, inputs[0].size()},
             TensorKind::kWeight,
             initializer_},
            {"bias", {units_}, TensorKind::kNoDecay}};
  }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    if (place.inputs[0].block != 1) {
      return absl::InvalidArgumentError(
          "dense reads its input in plain order, found blocks of channels; put "
          "a Flatten before it");
    }
    ASSIGN_OR_RETURN(auto kernel,
                     MakeKernel<DenseKernel>(
                         place.device, {.batch = place.batch,
                                        .inputs = place.inputs[0].shape.size(),
                                        .outputs = units_}));
    return std::make_unique<WeightedOperator<DenseKernel>>(place,
                                                           std::move(kernel));
  }

 private:
  int64_t units_;
  Initializer initializer_;
};

}  // namespace

std::unique_ptr<Layer> Dense(int64_t units, const Initializer& weight) {
  return std::make_unique<DenseLayer>(units, weight);
}

}  // namespace monsoon
