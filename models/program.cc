// SPDX-License-Identifier: Apache-2.0
#include "models/program.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "models/elements.h"
#include "models/layers/layers.h"

namespace monsoon {

namespace {

// Makes the values of one node agree: those of a layer that cannot tell them
// apart are float32 if one is, and so is what a product makes of float32.
// Whether something changed.
bool Spread(const Layer& layer, const std::vector<int>& inputs, size_t output,
            std::vector<DataType>& types) {
  const auto is_float = [&](size_t v) {
    return types[v] == DataType::kFloat32;
  };
  bool any = std::any_of(inputs.begin(), inputs.end(), [&](int v) {
    return is_float(static_cast<size_t>(v));
  });
  any = any || (!layer.multiplies() && is_float(output));
  if (!any) return false;
  bool changed = !is_float(output);
  types[output] = DataType::kFloat32;
  if (layer.multiplies()) return changed;
  for (int v : inputs) {
    changed = changed || !is_float(static_cast<size_t>(v));
    types[static_cast<size_t>(v)] = DataType::kFloat32;
  }
  return changed;
}

}  // namespace

std::vector<DataType> ValueTypes(const Graph& graph, const Plan& plan,
                                 Precision precision, const Device& device) {
  const bool is_bf16 = precision == Precision::kBf16 && device.queue != nullptr;
  std::vector<DataType> types(plan.shapes.size(),
                              is_bf16 ? DataType::kBf16 : DataType::kFloat32);
  types.back() = DataType::kFloat32;
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < graph.nodes().size(); ++i) {
      changed |= Spread(*graph.nodes()[i].layer, plan.inputs[i], i + 1, types);
    }
  }
  return types;
}

Activations::Activations(const Graph& graph, const Plan& plan,
                         const std::vector<DataType>& types, int64_t max_batch,
                         MemoryResource& memory)
    : max_batch_(max_batch), resource_(memory) {
  PlaceValues(graph, plan, types);
  PlaceInputGradients(plan);
}

void* Activations::Allocate(const Value& value) {
  constexpr int64_t kFloat = sizeof(float);
  const int64_t bytes = max_batch_ * value.shape.size() * BytesOf(value.type);
  return memory_.emplace_back((bytes + kFloat - 1) / kFloat, resource_).data();
}

void Activations::PlaceValues(const Graph& graph, const Plan& plan,
                              const std::vector<DataType>& types) {
  std::vector<int> readers(plan.shapes.size());
  for (const auto& inputs : plan.inputs) {
    for (int value : inputs) ++readers[value];
  }
  values_.push_back({.shape = plan.shapes[0], .type = types[0]});
  values_[0].data = Allocate(values_[0]);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const std::vector<int>& inputs = plan.inputs[i];
    const int first = inputs[0];
    Value value{.shape = plan.shapes[i + 1], .type = types[i + 1]};
    // The example is the caller's: it is never overwritten.
    const bool in_place = graph.nodes()[i].layer->in_place() && first != 0 &&
                          readers[first] == 1 &&
                          !graph.nodes()[first - 1].layer->needs_output();
    value.data = in_place ? values_[first].data : Allocate(value);
    const bool depends_on_parameters =
        !plan.offsets[i].empty() ||
        std::any_of(inputs.begin(), inputs.end(),
                    [&](int v) { return values_[v].gradient != nullptr; });
    if (depends_on_parameters) {
      value.gradient = in_place ? values_[first].gradient : nullptr;
      if (value.gradient == nullptr) value.gradient = Allocate(value);
    }
    values_.push_back(value);
  }
}

void Activations::PlaceInputGradients(const Plan& plan) {
  std::vector<bool> taken(plan.shapes.size());
  for (const auto& inputs : plan.inputs) {
    std::vector<void*>& gradients = input_gradients_.emplace_back();
    for (int v : inputs) {
      void* gradient = values_[v].gradient;
      // A second reader would overwrite the first one's gradient.
      if (gradient != nullptr && taken[v]) {
        gradient = Allocate(values_[v]);
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
    const absl::Status added =
        program.AddGradients(plan.inputs[i], values, place);
    if (!added.ok()) return InLayer(graph.nodes()[i], added);
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

absl::Status Program::AddGradients(const std::vector<int>& inputs,
                                   const std::vector<Value>& values,
                                   const Placement& place) {
  for (size_t k = 0; k < inputs.size(); ++k) {
    Value into = values[inputs[k]], part = into;
    part.data = place.inputs[k].gradient;
    if (part.data == into.gradient) continue;
    into.data = into.gradient;
    into.gradient = nullptr;
    part.gradient = nullptr;
    // A layer of the graph may do it as well: gradients are numbers like
    // others.
    Placement sum{.device = place.device,
                  .batch = place.batch,
                  .inputs = {into, part},
                  .output = into};
    ASSIGN_OR_RETURN(auto op, Add()->Build(sum));
    nodes_[inputs[k] - 1].sums.push_back(std::move(op));
  }
  return absl::OkStatus();
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
    for (const auto& sum : node->sums) sum->Forward(pass);
    node->op->Backward(pass, sink);
  }
  Flat statistics =
      sink.into.Slice(statistics_, sink.into.size() - statistics_);
  ForEach(ScaleOrClear{sink.beta}, statistics);
}

}  // namespace monsoon
