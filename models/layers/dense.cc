// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/dense.h"

#include <memory>

#include "absl/status/status.h"
#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

class DenseLayer final : public Layer {
 public:
  explicit DenseLayer(const DenseOptions& options) : options_(options) {}

  absl::StatusOr<Shape> OutputShape(absl::Span<const Shape>) const override {
    return Shape{.channels = options_.units};
  }

  std::vector<Parameter> Parameters(
      absl::Span<const Shape> inputs) const override {
    return {{"weight",
             {options_.units, inputs[0].size()},
             TensorKind::kWeight,
             options_.weight},
            {"bias", {options_.units}, TensorKind::kNoDecay}};
  }

  int64_t MultiplyAdds(absl::Span<const Shape> inputs) const override {
    return inputs[0].size() * options_.units;
  }

  bool multiplies() const override { return true; }

  bool needs_output() const override { return options_.relu; }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    if (place.inputs[0].block != 1) {
      return absl::InvalidArgumentError(
          "dense reads its input in plain order, found blocks of channels; put "
          "a Flatten before it");
    }
    return MakeWeightedOperator<DenseKernelOf>(
        place, {.batch = place.batch,
                .inputs = place.inputs[0].shape.size(),
                .outputs = options_.units,
                .relu = options_.relu,
                .precision = place.precision});
  }

 private:
  DenseOptions options_;
};

}  // namespace

std::unique_ptr<Layer> Dense(const DenseOptions& options) {
  return std::make_unique<DenseLayer>(options);
}

}  // namespace monsoon
