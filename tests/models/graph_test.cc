// SPDX-License-Identifier: Apache-2.0
#include "models/graph.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/layers/layers.h"
#include "models/program.h"

namespace monsoon {
namespace {

std::vector<std::string> Names(const ParameterLayout& layout) {
  std::vector<std::string> names;
  for (const TensorSpec& tensor : layout.tensors()) {
    names.push_back(tensor.name);
  }
  return names;
}

TEST_CASE("Statistics lie behind all other tensors", "[models]") {
  Graph graph;
  graph.Add("conv", Conv2d({.channels = 4, .bias = false}));
  graph.Add("norm1", BatchNorm());
  graph.Add("norm2", BatchNorm());
  graph.Add("fc", Dense({.units = 2}));
  const auto plan = MakePlan(graph, {1, 4, 4});
  REQUIRE(plan.ok());
  CHECK(Names(plan->layout) ==
        std::vector<std::string>{
            "conv.weight", "norm1.weight", "norm1.bias", "norm2.weight",
            "norm2.bias", "fc.weight", "fc.bias", "norm1.running_mean",
            "norm1.running_var", "norm2.running_mean", "norm2.running_var"});
  CHECK(plan->layout.parameters() == 36 + 4 * 4 + 34);
  CHECK(plan->layout.size() == plan->layout.parameters() + 4 * 4);
  // Every node finds its tensors where the layout has them.
  CHECK(plan->offsets ==
        std::vector<std::vector<int64_t>>{
            {0}, {36, 40, 86, 90}, {44, 48, 94, 98}, {52, 84}});
  REQUIRE(plan->initializers.size() == 11);
  CHECK(plan->initializers[1].value == 1);   // norm1.weight
  CHECK(plan->initializers[10].value == 1);  // norm2.running_var
  CHECK(plan->initializers[9].value == 0);   // norm2.running_mean
}

// The memory of the value that node `i` writes.
struct Placed {
  explicit Placed(Graph made, const Shape& example) : graph(std::move(made)) {
    plan = *MakePlan(graph, example);
    activations.emplace(graph, plan,
                        ValueTypes(graph, plan, Precision::kFp32, Device()), 2,
                        HeapMemory());
  }
  const void* data(size_t node) const {
    return activations->values()[node + 1].data;
  }
  const void* gradient(size_t node) const {
    return activations->values()[node + 1].gradient;
  }

  Graph graph;
  Plan plan;
  std::optional<Activations> activations;
};

TEST_CASE(
    "An in-place layer gets its own memory behind one that needs its "
    "output",
    "[models]") {
  Graph graph;
  graph.Add("fc", Dense({.units = 3}));
  graph.Add("softmax", Softmax());
  graph.Add("dropout", Dropout(0.5));
  graph.Add("again", Dropout(0.5));
  const Placed placed(std::move(graph), {4});
  CHECK(placed.data(1) == placed.data(0));
  CHECK(placed.data(2) != placed.data(1));  // softmax reads its output
  CHECK(placed.data(3) == placed.data(2));
  CHECK(placed.gradient(3) == placed.gradient(2));
}

TEST_CASE("A sum lies in its first input where nobody else reads that",
          "[models]") {
  Graph graph;
  graph.Add("a", Dense({.units = 3}), {Graph::kInput});
  graph.Add("b", Dense({.units = 3}), {Graph::kInput});
  graph.Add("sum", Add(), {"a", "b"});
  graph.Add("more", Add(), {"b", "sum"});
  graph.Add("twice", Add(), {"more", "more"});
  const Placed placed(std::move(graph), {4});
  CHECK(placed.data(2) == placed.data(0));
  CHECK(placed.data(3) != placed.data(1));  // b has two readers
  CHECK(placed.data(4) != placed.data(3));  // read twice
}

TEST_CASE("A sum over an input that needs no gradient has one of its own",
          "[models]") {
  Graph graph;
  graph.Add("copy", Relu(), {Graph::kInput});
  graph.Add("free", AveragePool(1), {Graph::kInput});
  graph.Add("fc", Conv2d({.channels = 1, .kernel = 1}), {Graph::kInput});
  graph.Add("sum", Add(), {"free", "fc"});
  const Placed placed(std::move(graph), {1, 2, 2});
  CHECK(placed.gradient(1) == nullptr);
  CHECK(placed.data(3) == placed.data(1));
  CHECK(placed.gradient(3) != nullptr);
}

TEST_CASE("A pass back makes statistics beta times what the sink had",
          "[models]") {
  Graph graph;
  graph.Add("norm", BatchNorm());
  graph.Add("fc", Dense({.units = 2}));
  const Plan plan = *MakePlan(graph, {3});
  const Activations activations(
      graph, plan, ValueTypes(graph, plan, Precision::kFp32, Device()), 4,
      HeapMemory());
  auto program =
      Program::Build(graph, plan, activations, Device(), Precision::kFp32, 4);
  REQUIRE(program.ok());
  Flat x(plan.layout.size()), sink(x.size());
  const int64_t first = plan.layout.parameters();
  for (const float beta : {0.0f, 0.5f, 1.0f}) {
    for (float& v : sink.span()) v = beta == 0 ? NAN : 3;
    program->Forward({.x = x, .training = true});
    program->Backward({.x = x, .training = true}, {sink, -1, beta});
    for (int64_t i = first; i < sink.size(); ++i) CHECK(sink[i] == 3 * beta);
  }
}

}  // namespace
}  // namespace monsoon
