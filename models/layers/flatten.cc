// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "base/status_macros.h"
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
    ASSIGN_OR_RETURN(auto kernel, MakeKernel<PlainOrderKernel>(
                                      place.device, {.batch = place.batch,
                                                     .shape = in.shape,
                                                     .block = in.block}));
    return std::make_unique<PlainOperator<PlainOrderKernel>>(place,
                                                             std::move(kernel));
  }
};

}  // namespace

std::unique_ptr<Layer> Flatten() { return std::make_unique<FlattenLayer>(); }

}  // namespace monsoon
