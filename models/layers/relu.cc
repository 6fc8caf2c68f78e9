// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/relu.h"

#include <memory>
#include <utility>

#include "base/status_macros.h"
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
    ASSIGN_OR_RETURN(
        auto kernel,
        MakeKernel<ReluKernel>(
            place.device, {.size = place.batch * place.output.shape.size()}));
    place.output.block = place.inputs[0].block;
    return std::make_unique<PlainOperator<ReluKernel>>(place,
                                                       std::move(kernel));
  }
};

}  // namespace

std::unique_ptr<Layer> Relu() { return std::make_unique<ReluLayer>(); }

}  // namespace monsoon
