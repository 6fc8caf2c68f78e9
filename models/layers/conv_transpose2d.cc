// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/conv_transpose2d.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "models/layers/layers.h"
#include "models/layers/operators.h"

namespace monsoon {
namespace {

class ConvTranspose2dLayer final : public Layer {
 public:
  explicit ConvTranspose2dLayer(const ConvTranspose2dOptions& options)
      : options_(options) {
    MONSOON_CHECK(options.output_padding < options.stride,
                  "output padding chooses among the sizes that a stride maps "
                  "to one");
  }

  absl::StatusOr<Shape> OutputShape(
      absl::Span<const Shape> inputs) const override {
    const Shape& in = inputs[0];
    const Shape out{.channels = options_.channels,
                    .height = Extent(in.height),
                    .width = Extent(in.width)};
    if (out.height < 1 || out.width < 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "padding ", options_.padding, " leaves nothing of an input of ",
          in.ToString(), " under a window of ", options_.kernel, "x",
          options_.kernel, "; use larger images or another model"));
    }
    return out;
  }

  std::vector<Parameter> Parameters(
      absl::Span<const Shape> inputs) const override {
    Initializer weight = options_.weight;
    // Each number of the output sums up this many on average: [inputs, outputs,
    // kernel, kernel] does not tell.
    const auto window = static_cast<double>(options_.kernel * options_.kernel);
    const auto steps = static_cast<double>(options_.stride * options_.stride);
    if (weight.fan_in == 0) {
      weight.fan_in = static_cast<double>(inputs[0].channels) * window / steps;
    }
    if (weight.fan_out == 0) {
      weight.fan_out = static_cast<double>(options_.channels) * window;
    }
    return {{"weight",
             {inputs[0].channels, options_.channels, options_.kernel,
              options_.kernel},
             TensorKind::kWeight,
             weight},
            {"bias", {options_.channels}, TensorKind::kNoDecay}};
  }

  int64_t MultiplyAdds(absl::Span<const Shape> inputs) const override {
    return inputs[0].size() * options_.channels * options_.kernel *
           options_.kernel;
  }

  bool multiplies() const override { return true; }

  absl::StatusOr<std::unique_ptr<Operator>> Build(
      Placement& place) const override {
    const Value& in = place.inputs[0];
    return MakeWeightedOperator<ConvTranspose2dKernelOf>(
        place, {.batch = place.batch,
                .in = in.shape,
                .out = place.output.shape,
                .block = in.block,
                .kernel = options_.kernel,
                .stride = options_.stride,
                .padding = options_.padding,
                .input_gradient = in.gradient != nullptr,
                .precision = place.precision});
  }

 private:
  int64_t Extent(int64_t in) const {
    return (in - 1) * options_.stride - 2 * options_.padding + options_.kernel +
           options_.output_padding;
  }

  ConvTranspose2dOptions options_;
};

}  // namespace

std::unique_ptr<Layer> ConvTranspose2d(const ConvTranspose2dOptions& options) {
  return std::make_unique<ConvTranspose2dLayer>(options);
}

}  // namespace monsoon
