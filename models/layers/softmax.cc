// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/softmax.h"

#include <memory>

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
    place.output.block = in.block;
    return MakeOperator<SoftmaxKernelOf>(place,
                                         {place.batch, in.shape, in.block});
  }
};

}  // namespace

std::unique_ptr<Layer> Softmax() { return std::make_unique<SoftmaxLayer>(); }

}  // namespace monsoon
