// SPDX-License-Identifier: Apache-2.0
#include "models/program.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "models/elements.h"

namespace monsoon {

Activations::Activations(const Graph& graph, const Plan& plan,
                         int64_t max_batch, MemoryResource& memory)
    : max_batch_(max_batch), resource_(memory) {
  PlaceValues(graph, plan);
  PlaceInputGradients(plan);
}

float* Activations::Allocate(const Shape& shape) {
  return memory_.emplace_back(max_batch_ * shape.size(), resource_).data();
}

void Activations::PlaceValues(const Graph& graph, const Plan& plan) {
  std::vector<int> readers(plan.shapes.size());
  for (const auto& inputs : plan.inputs) {
    for (int value : inputs) ++readers[value];
  }
  values_.push_back({plan.shapes[0], 1, Allocate(plan.shapes[0]), nullptr});
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const std::vector<int>& inputs = plan.inputs[i];
    const int first = inputs[0];
    Value value{.shape = plan.shapes[i + 1]};
    // The example is the caller's: it is never overwritten.
    const bool in_place = graph.nodes()[i].layer->in_place() && first != 0 &&
                          readers[first] == 1 &&
                          !graph.nodes()[first - 1].layer->needs_output();
    value.data = in_place ? values_[first].data : Allocate(value.shape);
    const bool depends_on_parameters =
        !plan.offsets[i].empty() ||
        std::any_of(inputs.begin(), inputs.end(),
                    [&](int v) { return values_[v].gradient != nullptr; });
    if (depends_on_parameters) {
      value.gradient = in_place ? values_[first].gradient : nullptr;
      if (value.gradient == nullptr) value.gradient = Allocate(value.shape);
    }
    values_.push_back(value);
  }
}

void Activations::PlaceInputGradients(const Plan& plan) {
  std::vector<bool> taken(plan.shapes.size());
  for (const auto& inputs : plan.inputs) {
    std::vector<float*>& gradients = input_gradients_.emplace_back();
    for (int v : inputs) {
      float* gradient = values_[v].gradient;
      // A second reader would overwrite the first one's gradient.
      if (gradient != nullptr && taken[v]) {
        gradient = Allocate(values_[v].shape);
      }
      taken[v] = true;
      gradients.push_back(gradient);
    }
  }
}

absl::StatusOr<Program> Program::Build(const Graph& graph, const Plan& plan,
                                       const Activations& activations,
                                       const Device& device,
                                       Precision precision, int64_t batch) {
  Program program;
  std::vector<Value> values = activations.values();
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    Placement place{.device = device,
                    .precision = precision,
                    .batch = batch,
                    .node = static_cast<int64_t>(i),
                    .output = values[i + 1],
                    .offsets = plan.offsets[i]};
    for (size_t k = 0; k < plan.inputs[i].size(); ++k) {
      place.inputs.push_back(values[plan.inputs[i][k]]);
      place.inputs.back().gradient = activations.input_gradients()[i][k];
    }
    program.AddGradients(plan.inputs[i], values, place);
    absl::StatusOr<std::unique_ptr<Operator>> op =
        graph.nodes()[i].layer->Build(place);
    if (!op.ok()) return InLayer(graph.nodes()[i], op.status());
    values[i + 1].block = place.output.block;
    program.nodes_.push_back({.op = *std::move(op)});
  }
  program.output_ = values.back();
  program.statistics_ = plan.layout.parameters();
  return program;
}

void Program::AddGradients(const std::vector<int>& inputs,
                           const std::vector<Value>& values,
                           const Placement& place) {
  for (size_t k = 0; k < inputs.size(); ++k) {
    const Value& value = values[inputs[k]];
    float* part = place.inputs[k].gradient;
    if (part == value.gradient) continue;
    const int64_t size = place.batch * value.shape.size();
    nodes_[inputs[k] - 1].sums.push_back(
        {Flat::View(value.gradient, size, place.device.queue),
         Flat::View(part, size, place.device.queue)});
  }
}

std::vector<std::string> Program::ways() const {
  std::vector<std::string> ways;
  for (const Node& node : nodes_) ways.push_back(node.op->way());
  return ways;
}

void Program::Forward(const Pass& pass) {
  for (Node& node : nodes_) node.op->Forward(pass);
}

void Program::Backward(const Pass& pass, const GradientSink& sink) {
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    for (Sum& sum : node->sums) {
      ForEach(AddTo{}, sum.into, sum.part);
    }
    node->op->Backward(pass, sink);
  }
  Flat statistics =
      sink.into.Slice(statistics_, sink.into.size() - statistics_);
  ForEach(ScaleOrClear{sink.beta}, statistics);
}

}  // namespace monsoon
