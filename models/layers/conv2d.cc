// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/conv2d.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

class Conv2dLayer final : public Layer {
 public:
  explicit Conv2dLayer(const Conv2dOptions& options) : options_(options) {}

  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    ASSIGN_OR_RETURN(const Shape out, Convolved(inputs[0]));
    const int64_t pool = options_.max_pool;
    if (out.height < pool || out.width < pool) {
      return absl::InvalidArgumentError(
          absl::StrCat("a pooling window of ", pool, "x", pool,
                       " does not fit into the convolution's output of ",
                       out.ToString(), "; use larger images or another model"));
    }
    return Shape{out.channels, out.height / pool, out.width / pool};
  }

  std::vector<Parameter> Parameters(
      absl::Span<const Shape> inputs) const override {
    std::vector<Parameter> parameters = {
        {"weight",
         {options_.channels, inputs[0].channels / options_.groups,
          options_.kernel, options_.kernel},
         TensorKind::kWeight,
         options_.weight}};
    if (options_.bias) {
      parameters.push_back({"bias", {options_.channels}, TensorKind::kNoDecay});
    }
    return parameters;
  }

  int64_t MultiplyAdds(absl::Span<const Shape> inputs) const override {
    return Convolved(inputs[0])->size() * inputs[0].channels / options_.groups *
           options_.kernel * options_.kernel;
  }

  bool multiplies() const override { return true; }

  bool needs_output() const override { return options_.relu; }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    const Value& in = place.inputs[0];
    ASSIGN_OR_RETURN(const Shape out, Convolved(in.shape));
    return MakeWeightedOperator<Conv2dKernelOf>(
        place, {.batch = place.batch,
                .in = in.shape,
                .out = out,
                .block = in.block,
                .kernel = options_.kernel,
                .stride = options_.stride,
                .padding = options_.padding,
                .dilation = options_.dilation,
                .groups = options_.groups,
                .pool = options_.max_pool,
                .relu = options_.relu,
                .input_gradient = in.gradient != nullptr,
                .precision = place.precision});
  }

 private:
  // The convolution's own output, before pooling.
  absl::StatusOr<Shape> Convolved(const Shape& in) const {
    const int64_t window = options_.dilation * (options_.kernel - 1) + 1;
    const int64_t rows = in.height + 2 * options_.padding - window;
    const int64_t columns = in.width + 2 * options_.padding - window;
    if (in.channels % options_.groups != 0 ||
        options_.channels % options_.groups != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          in.channels, " input and ", options_.channels, " output channels in ",
          options_.groups, " groups, expected numbers that the groups divide"));
    }
    if (rows < 0 || columns < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a window of ", window, "x", window,
          " does not fit into an input of ", in.ToString(), " padded by ",
          options_.padding, "; use larger images or another model"));
    }
    return Shape{.channels = options_.channels,
                 .height = rows / options_.stride + 1,
                 .width = columns / options_.stride + 1};
  }

  Conv2dOptions options_;
};

}  // namespace

std::unique_ptr<Layer> Conv2d(const Conv2dOptions& options) {
  return std::make_unique<Conv2dLayer>(options);
}

}  // namespace monsoon
