// SPDX-License-Identifier: Apache-2.0
// The residual network of 20 layers for small images (He et al. 2015,
// arXiv:1512.03385, section 4.2): three stages of three blocks of two 3x3
// convolutions, 16, 32 and 64 channels, each convolution under batch
// normalisation and without a bias. Where a stage halves the image, the
// shortcut is a projection (their option B), a 1x1 convolution of stride 2
// under batch normalisation. With 3x32x32 inputs and 10 classes 272,474
// parameters, and 1,568 statistics.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/layers/layers.h"
#include "models/zoo/zoo.h"

namespace monsoon {
namespace {

constexpr int64_t kSmallest = 8;  // pixels; the last stage has a quarter

absl::Status CheckExample(const Shape& example) {
  if (example.height >= kSmallest && example.width >= kSmallest) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("model resnet20: images of ", example.height, "x",
                   example.width, " pixels, expected at least ", kSmallest, "x",
                   kSmallest, "; use larger images or another model"));
}

// Convolution NAME and batch normalisation NAME.norm.
void AddConv(Graph& graph, const std::string& name, std::string input,
             int64_t channels, int64_t kernel, int64_t stride) {
  graph.Add(name,
            Conv2d({.channels = channels,
                    .kernel = kernel,
                    .stride = stride,
                    .padding = kernel / 2,
                    .bias = false,
                    .weight = HeNormal()}),
            {std::move(input)});
  graph.Add(name + ".norm", BatchNorm());
}

// relu(x + F(x)) for the last node x.
void AddBlock(Graph& graph, const std::string& name, int64_t channels,
              int64_t stride) {
  const std::string input = graph.nodes().back().name;
  std::string shortcut = input;
  if (stride > 1) {
    AddConv(graph, name + ".shortcut", input, channels, 1, stride);
    shortcut = graph.nodes().back().name;
  }
  AddConv(graph, name + ".conv1", input, channels, 3, stride);
  graph.Add(name + ".relu1", Relu());
  AddConv(graph, name + ".conv2", name + ".relu1", channels, 3, 1);
  graph.Add(name + ".add", Add(), {name + ".conv2.norm", shortcut});
  graph.Add(name + ".relu2", Relu());
}

absl::StatusOr<Graph> MakeResnet20(absl::string_view sizes, int classes) {
  RETURN_IF_ERROR(RefuseSizes("resnet20", sizes));
  Graph graph;
  AddConv(graph, "conv1", Graph::kInput, 16, 3, 1);
  graph.Add("relu1", Relu());
  for (int stage = 0; stage < 3; ++stage) {
    for (int block = 0; block < 3; ++block) {
      AddBlock(graph, absl::StrCat("stage", stage + 1, ".block", block + 1),
               int64_t{16} << stage, stage > 0 && block == 0 ? 2 : 1);
    }
  }
  graph.Add("pool", GlobalAveragePool());
  graph.Add("fc", Dense({.units = classes}));
  return graph;
}

const RegisterModel kRegistered(
    "resnet20", {"residual network of 20 layers with batch normalisation, 16, "
                 "32 and 64 channels",
                 &MakeResnet20, &CheckExample});

}  // namespace
}  // namespace monsoon
