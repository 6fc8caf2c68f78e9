// SPDX-License-Identifier: Apache-2.0
// A small convolutional network: with 28x28 inputs and 10 classes 1,048,853
// parameters.
#include "base/status_macros.h"
#include "models/layers/layers.h"
#include "models/zoo/zoo.h"

namespace monsoon {
namespace {

absl::StatusOr<Graph> MakeCnn(absl::string_view sizes, int classes) {
  RETURN_IF_ERROR(RefuseSizes("cnn", sizes));
  Graph graph;
  graph.Add("conv1", Conv2d({.channels = 32, .kernel = 3, .relu = true}));
  graph.Add("conv2",
            Conv2d({.channels = 32, .kernel = 3, .max_pool = 2, .relu = true}));
  graph.Add("flatten", Flatten());
  graph.Add("fc1", Dense({.units = 225, .relu = true}));
  graph.Add("fc2", Dense({.units = classes}));
  return graph;
}

const RegisterModel kRegistered(
    "cnn", {"conv 3x3x32, ReLU, conv 3x3x32, ReLU, max pool 2, dense 225, "
            "ReLU, dense",
            &MakeCnn});

}  // namespace
}  // namespace monsoon
