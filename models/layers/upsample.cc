// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/upsample.h"

#include <memory>

#include "base/check.h"
#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

class UpsampleLayer final : public Layer {
 public:
  explicit UpsampleLayer(const UpsampleOptions& options) : options_(options) {
    MONSOON_CHECK(options.scale >= 1, "images do not shrink");
  }

  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    return Shape{.channels = inputs[0].channels,
                 .height = inputs[0].height * options_.scale,
                 .width = inputs[0].width * options_.scale};
  }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    const Value& in = place.inputs[0];
    place.output.block = in.block;
    return MakeOperator<UpsampleKernelOf>(place,
                                          {.batch = place.batch,
                                           .in = in.shape,
                                           .block = in.block,
                                           .scale = options_.scale,
                                           .bilinear = options_.bilinear});
  }

 private:
  UpsampleOptions options_;
};

}  // namespace

std::unique_ptr<Layer> Upsample(const UpsampleOptions& options) {
  return std::make_unique<UpsampleLayer>(options);
}

}  // namespace monsoon
