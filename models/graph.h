// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/layout.h"
#include "models/layer.h"
#include "models/shape.h"

namespace monsoon {

// A network as data: nodes in topological order, each naming its inputs. The
// last node's output are the logits. Movable.
class Graph {
 public:
  // The name of the example itself.
  static constexpr const char* kInput = "input";

  struct Node {
    std::string name;
    std::unique_ptr<const Layer> layer;
    std::vector<std::string> inputs;  // names of earlier nodes, or kInput
  };

  // Appends a node that reads the node before it, or the example.
  void Add(std::string name, std::unique_ptr<const Layer> layer);
  // Appends a node that reads `inputs`. REQUIRES: a new name; inputs exist.
  void Add(std::string name, std::unique_ptr<const Layer> layer,
           std::vector<std::string> inputs);

  const std::vector<Node>& nodes() const { return nodes_; }

 private:
  std::vector<Node> nodes_;
};

// `status` with the node's name in front of its message.
absl::Status InLayer(const Graph::Node& node, const absl::Status& status);

// What a graph amounts to for examples of one shape. Value 0 is the example,
// value i + 1 the output of node i.
struct Plan {
  std::vector<Shape> shapes;                  // [value]
  std::vector<std::vector<int>> inputs;       // [node] values
  std::vector<std::vector<int64_t>> offsets;  // [node] in the Flat
  // "fc1.weight": in node order, but all statistics behind all others.
  ParameterLayout layout;
  std::vector<Initializer> initializers;  // [tensor of the layout]
  // Multiply-adds for one example: of forward alone, and of a training step,
  // which has as many again for each layer's weights and, where parameters lie
  // before it, for its input.
  int64_t forward_multiply_adds = 0;
  int64_t training_multiply_adds = 0;
};

// Cheap: makes no kernels, takes no memory. INVALID_ARGUMENT, naming the node,
// when a layer does not fit its inputs.
absl::StatusOr<Plan> MakePlan(const Graph& graph, const Shape& example);

}  // namespace monsoon
