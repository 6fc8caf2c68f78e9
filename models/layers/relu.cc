// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/relu.h"

#include <memory>

#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

class ReluLayer final : public Layer {
 public:
  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    return inputs[0];
  }
  bool in_place() const override { return true; }
  bool needs_output() const override { return true; }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    place.output.block = place.inputs[0].block;
    return MakeOperator<ReluKernelOf>(
        place, {.size = place.batch * place.output.shape.size()});
  }
};

}  // namespace

std::unique_ptr<Layer> Relu() { return std::make_unique<ReluLayer>(); }

}  // namespace monsoon
