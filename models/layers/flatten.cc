// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "models/kernels/plain_order.h"
#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

class FlattenLayer final : public Layer {
 public:
  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    return Shape{.channels = inputs[0].size()};
  }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    const Value& in = place.inputs[0];
    return MakeOperator<PlainOrderKernelOf>(
        place, {.batch = place.batch, .shape = in.shape, .block = in.block});
  }
};

}  // namespace

std::unique_ptr<Layer> Flatten() { return std::make_unique<FlattenLayer>(); }

}  // namespace monsoon
