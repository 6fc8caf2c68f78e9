// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "models/model.h"

namespace monsoon {
namespace {

constexpr Shape kImage{1, 28, 28};

std::vector<std::string> Describe(const ParameterLayout& layout) {
  std::vector<std::string> lines;
  for (const TensorSpec& tensor : layout.tensors()) {
    std::string& line = lines.emplace_back(tensor.name);
    for (int64_t n : tensor.shape) line += " " + std::to_string(n);
    if (tensor.kind == TensorKind::kNoDecay) line += " (no decay)";
  }
  return lines;
}

TEST_CASE("mlp has the published network's parameters", "[models]") {
  const auto layout = LayoutOf("mlp", kImage, 10);
  REQUIRE(layout.ok());
  CHECK(layout->size() == 1'037'760);
  CHECK(Describe(*layout) ==
        std::vector<std::string>{
            "fc1.weight 1000 784", "fc1.bias 1000 (no decay)",
            "fc2.weight 250 1000", "fc2.bias 250 (no decay)",
            "fc3.weight 10 250", "fc3.bias 10 (no decay)"});
}

TEST_CASE("cnn has the published network's parameters", "[models]") {
  const auto layout = LayoutOf("cnn", kImage, 10);
  REQUIRE(layout.ok());
  CHECK(layout->size() == 1'048'853);
  CHECK(Describe(*layout) ==
        std::vector<std::string>{
            "conv1.weight 32 1 3 3", "conv1.bias 32 (no decay)",
            "conv2.weight 32 32 3 3", "conv2.bias 32 (no decay)",
            "fc1.weight 225 4608", "fc1.bias 225 (no decay)",
            "fc2.weight 10 225", "fc2.bias 10 (no decay)"});
}

TEST_CASE("mlp takes other hidden sizes", "[models]") {
  const auto layout = LayoutOf("mlp:500,500", kImage, 10);
  REQUIRE(layout.ok());
  CHECK(layout->size() == 785 * 500 + 501 * 500 + 501 * 10);
  CHECK(LayoutOf("mlp:7", kImage, 3)->size() == 785 * 7 + 8 * 3);
}

TEST_CASE("A built model has the layout that its name promises", "[models]") {
  for (const std::string& name : ModelNames()) {
    const auto model = Model::Build(name, kImage, 10, {2});
    REQUIRE(model.ok());
    CHECK((*model)->layout() == *LayoutOf(name, kImage, 10));
    CHECK_FALSE(ModelDescription(name).empty());
  }
}

TEST_CASE("resnet20 has the parameters that its equations give", "[models]") {
  const auto layout = LayoutOf("resnet20", {3, 32, 32}, 10);
  REQUIRE(layout.ok());
  // Convolutions 432 + 6 * 2304 + 4608 + 5 * 9216 + 18432 + 5 * 36864,
  // projections 512 + 2048, 784 normalised channels, dense 650.
  CHECK(layout->parameters() == 272'474);
  CHECK(layout->size() == 272'474 + 2 * 784);
  const std::vector<std::string> lines = Describe(*layout);
  CHECK(lines[0] == "conv1.weight 16 3 3 3");
  CHECK(lines[1] == "conv1.norm.weight 16 (no decay)");
  CHECK(std::count(lines.begin(), lines.end(),
                   "stage3.block1.shortcut.weight 64 32 1 1") == 1);
  CHECK(LayoutOf("resnet20", kImage, 10)->parameters() == 272'474 - 288);
}

TEST_CASE("unet has the parameters that its equations give", "[models]") {
  const auto layout = LayoutOf("unet", kImage, 10);
  REQUIRE(layout.ok());
  // Down 160 + 2320, 4640 + 9248, bottom 18496 + 36928, up 8224 + 18464 + 9248,
  // 2064 + 4624 + 2320, classes 170.
  CHECK(layout->size() == 116'906);
  CHECK(layout->parameters() == layout->size());
}

TEST_CASE("The models are cnn, mlp, resnet20 and unet", "[models]") {
  CHECK(ModelNames() ==
        std::vector<std::string>{"cnn", "mlp", "resnet20", "unet"});
}

TEST_CASE("A name that is no model is refused with what would do", "[models]") {
  struct Case {
    std::string name, message;
  };
  for (const Case& test : {
           Case{"mpl",
                "unknown model \"mpl\"; accepted: cnn, mlp, resnet20, unet; "
                "did you mean "
                "\"mlp\"?"},
           Case{"mlp:0",
                "model \"mlp:0\": hidden size \"0\", expected a whole number "
                "from 1 to 1048576; write sizes as in \"mlp:500,500\""},
           Case{"mlp:abc",
                "model \"mlp:abc\": hidden size \"abc\", expected a whole "
                "number from 1 to 1048576; write sizes as in \"mlp:500,500\""},
           Case{"mlp:9,,9",
                "model \"mlp:9,,9\": hidden size \"\", expected a whole number "
                "from 1 to 1048576; write sizes as in \"mlp:500,500\""},
           Case{"mlp:",
                "model \"mlp:\": nothing follows the colon; write \"mlp\" for "
                "the model as it is"},
           Case{"cnn:5", "model \"cnn:5\": cnn takes no sizes; write \"cnn\""},
           Case{"resnet20:56",
                "model \"resnet20:56\": resnet20 takes no sizes; write "
                "\"resnet20\""},
           Case{"unet:3",
                "model \"unet:3\": unet takes no sizes; write \"unet\""},
       }) {
    const auto model = Model::Build(test.name, kImage, 10, {1});
    CHECK(model.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(model.status().message() == test.message);
    CHECK(LayoutOf(test.name, kImage, 10).status() == model.status());
  }
}

TEST_CASE("Data that does not fit a model is refused", "[models]") {
  CHECK(LayoutOf("mlp", kImage, 1).status().message() ==
        "model mlp for 1 classes, expected at least 2; look at the data set's "
        "labels");
  CHECK(LayoutOf("mlp", {0, 28, 28}, 10).status().message() ==
        "examples are 0x28x28, expected at least 1x1x1 (channels, height, "
        "width)");
  CHECK(LayoutOf("cnn", {1, 4, 9}, 10).status().message() ==
        "layer conv2: a window of 3x3 does not fit into an input of 32x2x7 "
        "padded by 0; use larger images or another model");
  CHECK(LayoutOf("cnn", {1, 5, 9}, 10).status().message() ==
        "layer conv2: a pooling window of 2x2 does not fit into the "
        "convolution's output of 32x1x5; use larger images or another model");
  CHECK(LayoutOf("resnet20", {3, 32, 7}, 10).status().message() ==
        "model resnet20: images of 32x7 pixels, expected at least 8x8; use "
        "larger images or another model");
  CHECK(LayoutOf("unet", {3, 32, 30}, 10).status().message() ==
        "model unet: images of 32x30 pixels, expected heights and widths that "
        "4 divides; pad or crop the images");
  CHECK(Model::Build("mlp", kImage, 10, {}).status().message() ==
        "no batch size, expected at least one");
  CHECK(Model::Build("mlp", kImage, 10, {4, 0}).status().message() ==
        "batch size 0, expected at least 1");
}

TEST_CASE("A model that wants a label for each pixel is told from others",
          "[models]") {
  for (const std::string& name : ModelNames()) {
    const absl::Status status = CheckOneLabel(name, kImage, 10);
    const auto model = Model::Build(name, kImage, 10, {1});
    REQUIRE(model.ok());
    CHECK(status.ok() == ((*model)->labels_per_example() == 1));
  }
  const absl::Status status = CheckOneLabel("unet", kImage, 10);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(status.message() ==
        "model unet learns a label for each of 28x28 pixels, the data set has "
        "one for each example; use another model");
  CHECK(CheckOneLabel("cnn", {1, 4, 9}, 10) ==
        LayoutOf("cnn", {1, 4, 9}, 10).status());
}

TEST_CASE("Weights start uniform in the He range and biases at zero",
          "[models]") {
  const auto model = Model::Build("cnn", kImage, 10, {1});
  REQUIRE(model.ok());
  const ParameterLayout& layout = (*model)->layout();
  Flat x(layout.size());
  for (float& v : x.span()) v = 7;
  (*model)->Initialize(1, x);
  for (const TensorSpec& tensor : layout.tensors()) {
    INFO(tensor.name);
    const Flat values = x.Slice(tensor.offset, tensor.size());
    const auto [least, most] =
        std::minmax_element(values.span().begin(), values.span().end());
    if (tensor.kind == TensorKind::kNoDecay) {
      CHECK(*least == 0);
      CHECK(*most == 0);
      continue;
    }
    const double fan_in = double(tensor.size()) / double(tensor.shape[0]);
    const double bound = std::sqrt(6 / fan_in);
    CHECK(*least >= -bound);
    CHECK(*most <= bound);
    CHECK(*least < -0.95 * bound);
    CHECK(*most > 0.95 * bound);
    // The standard deviation of U(-b, b) is b / sqrt(3); of n draws it strays
    // by about 1 / sqrt(n), n >= 288.
    const double deviation = Norm(values) / std::sqrt(double(tensor.size()));
    CHECK(deviation == Approx(bound / std::sqrt(3.0)).epsilon(0.15));
  }
}

TEST_CASE("Initial weights depend on the seed and on nothing else",
          "[models]") {
  const auto model = Model::Build("mlp:20", kImage, 10, {1});
  REQUIRE(model.ok());
  const int64_t size = (*model)->layout().size();
  Flat a(size), b(size), c(size);
  (*model)->Initialize(5, a);
  Model::Build("mlp:20", kImage, 10, {3}).value()->Initialize(5, b);
  (*model)->Initialize(6, c);
  CHECK(a.span() == b.span());
  CHECK(a.span() != c.span());
  // The same on every machine and with every compiler.
  CHECK(a[0] == -0.0368615612f);
  CHECK(a[1] == -0.0804606304f);
  CHECK(a[2] == -0.0718786865f);
}

}  // namespace
}  // namespace monsoon
