// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/softmax.h"

#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

class SoftmaxLayer final : public Layer {
 public:
  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    return inputs[0];
  }
  bool in_place() const override { return true; }
  bool needs_output() const override { return true; }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    const Value& in = place.inputs[0];
    ASSIGN_OR_RETURN(auto kernel,
                     MakeKernel<SoftmaxKernel>(
                         place.device, {place.batch, in.shape, in.block}));
    place.output.block = in.block;
    return std::make_unique<PlainOperator<SoftmaxKernel>>(place,
                                                          std::move(kernel));
  }
};

}  // namespace

std::unique_ptr<Layer> Softmax() { return std::make_unique<SoftmaxLayer>(); }

}  // namespace monsoon
