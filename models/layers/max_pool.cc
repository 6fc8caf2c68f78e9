// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/max_pool.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

class MaxPoolLayer final : public Layer {
 public:
  explicit MaxPoolLayer(int64_t size) : size_(size) {}

  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    const Shape& in = inputs[0];
    if (in.height < size_ || in.width < size_) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a window of ", size_, "x", size_, " does not fit into an input of ",
          in.ToString(), "; use larger images or another model"));
    }
    return Shape{.channels = in.channels,
                 .height = in.height / size_,
                 .width = in.width / size_};
  }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    const Value& in = place.inputs[0];
    place.output.block = in.block;
    return MakeOperator<MaxPoolKernelOf>(place, {.batch = place.batch,
                                                 .in = in.shape,
                                                 .block = in.block,
                                                 .size = size_});
  }

 private:
  int64_t size_;
};

}  // namespace

std::unique_ptr<Layer> MaxPool(int64_t size) {
  return std::make_unique<MaxPoolLayer>(size);
}

}  // namespace monsoon
