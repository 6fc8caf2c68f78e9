// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/average_pool.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

class AveragePoolLayer final : public Layer {
 public:
  // Size 0: the whole image.
  explicit AveragePoolLayer(int64_t size) : size_(size) {}

  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    const Shape& in = inputs[0];
    if (in.height < size_ || in.width < size_) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a window of ", size_, "x", size_, " does not fit into an input of ",
          in.ToString(), "; use larger images or another model"));
    }
    if (size_ == 0) return Shape{.channels = in.channels};
    return Shape{.channels = in.channels,
                 .height = in.height / size_,
                 .width = in.width / size_};
  }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    const Value& in = place.inputs[0];
    // Blocks of single numbers are plain order.
    const bool single =
        place.output.shape.height == 1 && place.output.shape.width == 1;
    place.output.block = single ? 1 : in.block;
    return MakeOperator<AveragePoolKernelOf>(
        place, {.batch = place.batch,
                .in = in.shape,
                .block = in.block,
                .height = size_ == 0 ? in.shape.height : size_,
                .width = size_ == 0 ? in.shape.width : size_});
  }

 private:
  int64_t size_;
};

}  // namespace

std::unique_ptr<Layer> AveragePool(int64_t size) {
  return std::make_unique<AveragePoolLayer>(size);
}

std::unique_ptr<Layer> GlobalAveragePool() {
  return std::make_unique<AveragePoolLayer>(0);
}

}  // namespace monsoon
