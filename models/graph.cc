// SPDX-License-Identifier: Apache-2.0
#include "models/graph.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace monsoon {
namespace {

// The value of that name; -1 when there is none.
int FindValue(const std::vector<Graph::Node>& nodes, const std::string& name) {
  if (name == Graph::kInput) return 0;
  const auto it = std::find_if(nodes.begin(), nodes.end(),
                               [&](const auto& n) { return n.name == name; });
  return it == nodes.end() ? -1 : static_cast<int>(it - nodes.begin()) + 1;
}

// Appends the parameters that are statistics, or those that are not.
void AddTensors(const Graph& graph,
                const std::vector<std::vector<Layer::Parameter>>& parameters,
                bool statistics, Plan& plan) {
  for (size_t node = 0; node < parameters.size(); ++node) {
    for (size_t k = 0; k < parameters[node].size(); ++k) {
      const Layer::Parameter& p = parameters[node][k];
      if ((p.kind == TensorKind::kStatistic) != statistics) continue;
      plan.offsets[node][k] = plan.layout.size();
      plan.layout.Add(absl::StrCat(graph.nodes()[node].name, ".", p.name),
                      p.shape, p.kind);
      plan.initializers.push_back(p.initializer);
    }
  }
}

}  // namespace

void Graph::Add(std::string name, std::unique_ptr<const Layer> layer) {
  std::string input = nodes_.empty() ? kInput : nodes_.back().name;
  Add(std::move(name), std::move(layer), {std::move(input)});
}

void Graph::Add(std::string name, std::unique_ptr<const Layer> layer,
                std::vector<std::string> inputs) {
  MONSOON_CHECK(FindValue(nodes_, name) < 0, "a node's name is new");
  MONSOON_CHECK(!inputs.empty(), "a node reads something");
  for (const std::string& input : inputs) {
    MONSOON_CHECK(FindValue(nodes_, input) >= 0, "a node's inputs exist");
  }
  nodes_.push_back({std::move(name), std::move(layer), std::move(inputs)});
}

absl::Status InLayer(const Graph::Node& node, const absl::Status& status) {
  return absl::Status(
      status.code(), absl::StrCat("layer ", node.name, ": ", status.message()));
}

absl::StatusOr<Plan> MakePlan(const Graph& graph, const Shape& example) {
  MONSOON_CHECK(!graph.nodes().empty(), "a graph has a node");
  if (example.channels < 1 || example.height < 1 || example.width < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("examples are ", example.ToString(),
                     ", expected at least 1x1x1 (channels, height, width)"));
  }
  Plan plan;
  plan.shapes.push_back(example);
  std::vector<std::vector<Layer::Parameter>> parameters;  // [node]
  std::vector<bool> learns = {false};  // [value] depends on parameters
  for (const Graph::Node& node : graph.nodes()) {
    std::vector<int>& inputs = plan.inputs.emplace_back();
    std::vector<Shape> shapes;
    for (const std::string& input : node.inputs) {
      inputs.push_back(FindValue(graph.nodes(), input));
      shapes.push_back(plan.shapes[inputs.back()]);
    }
    const absl::StatusOr<Shape> output = node.layer->OutputShape(shapes);
    if (!output.ok()) return InLayer(node, output.status());
    plan.shapes.push_back(*output);
    parameters.push_back(node.layer->Parameters(shapes));
    const bool gives_input_gradient = std::any_of(
        inputs.begin(), inputs.end(),
        [&](int value) { return learns[static_cast<size_t>(value)]; });
    learns.push_back(gives_input_gradient || !parameters.back().empty());
    const int64_t multiply_adds = node.layer->MultiplyAdds(shapes);
    plan.forward_multiply_adds += multiply_adds;
    plan.training_multiply_adds +=
        multiply_adds * (gives_input_gradient ? 3 : 2);
    plan.offsets.emplace_back(parameters.back().size());
  }
  for (const bool statistics : {false, true}) {
    AddTensors(graph, parameters, statistics, plan);
  }
  return plan;
}

}  // namespace monsoon
