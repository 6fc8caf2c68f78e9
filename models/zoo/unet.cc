// SPDX-License-Identifier: Apache-2.0
// A small network with a class for each pixel (Ronneberger, Fischer, Brox 2015,
// arXiv:1505.04597): two levels of two 3x3 convolutions under ReLU and a max
// pooling on the way down, 16 and 32 channels, 64 at the bottom; on the way up
// transposed convolutions, each joined by the channels of its level. Unlike
// there, convolutions are padded, so that every pixel of the example has
// logits. With 1x28x28 inputs and 10 classes 116,906 parameters.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/layers/layers.h"
#include "models/zoo/zoo.h"

namespace monsoon {
namespace {

constexpr int kLevels = 2;
constexpr int64_t kChannels = 16;  // of the first level; each has twice as many

absl::Status CheckExample(const Shape& example) {
  constexpr int64_t kStride = int64_t{1} << kLevels;
  if (example.height % kStride == 0 && example.width % kStride == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("model unet: images of ", example.height, "x", example.width,
                   " pixels, expected heights and widths that ", kStride,
                   " divides; pad or crop the images"));
}

// Two convolutions over `input`: NAME.conv1, NAME.conv2.
void AddConvs(Graph& graph, const std::string& name, std::string input,
              int64_t channels) {
  const Conv2dOptions options{.channels = channels, .padding = 1, .relu = true};
  graph.Add(name + ".conv1", Conv2d(options), {std::move(input)});
  graph.Add(name + ".conv2", Conv2d(options));
}

absl::StatusOr<Graph> MakeUnet(absl::string_view sizes, int classes) {
  RETURN_IF_ERROR(RefuseSizes("unet", sizes));
  Graph graph;
  std::string last = Graph::kInput;
  for (int level = 1; level <= kLevels; ++level) {
    const std::string name = absl::StrCat("down", level);
    AddConvs(graph, name, last, kChannels << (level - 1));
    last = name + ".pool";
    graph.Add(last, MaxPool(2));
  }
  AddConvs(graph, "bottom", last, kChannels << kLevels);
  for (int level = kLevels; level >= 1; --level) {
    const std::string name = absl::StrCat("up", level);
    const int64_t channels = kChannels << (level - 1);
    graph.Add(name + ".grow", ConvTranspose2d({.channels = channels}));
    graph.Add(name + ".join", Concat(),
              {name + ".grow", absl::StrCat("down", level, ".conv2")});
    AddConvs(graph, name, name + ".join", channels);
  }
  graph.Add("classes", Conv2d({.channels = classes, .kernel = 1}));
  return graph;
}

const RegisterModel kRegistered(
    "unet", {"a class for each pixel: two levels of convolutions down and up "
             "again, 16, 32 and 64 channels",
             &MakeUnet, &CheckExample});

}  // namespace
}  // namespace monsoon
