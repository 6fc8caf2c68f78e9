// SPDX-License-Identifier: Apache-2.0
// Models of bf16 on a device: which values are bfloat16 there, and that they
// learn as those of float32 do.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "models/layers/layers.h"
#include "models/model.h"
#include "models/program.h"
#include "models/zoo/zoo.h"
#include "tests/models/layer_bench.h"

namespace monsoon {
namespace {

using Catch::Matchers::Contains;

constexpr Shape kImage = {1, 12, 12};
constexpr int kBatch = 4, kClasses = 4;

// "b" for bfloat16, "f" for float32: of the example, then of every node.
std::string TypesOf(const Graph& graph, const Shape& example = kImage) {
  std::string types;
  for (const DataType type : ValueTypes(graph, *MakePlan(graph, example),
                                        Precision::kBf16, TestDevice())) {
    types += type == DataType::kBf16 ? 'b' : 'f';
  }
  return types;
}

TEST_CASE("All values of a bf16 model but the logits are bfloat16", "[cuda]") {
  for (const std::string& name : ModelNames()) {
    INFO(name);
    const Graph graph = *MakeGraph(name, kImage, kClasses);
    CHECK(TypesOf(graph) == std::string(graph.nodes().size(), 'b') + "f");
  }
}

// Behind the last product nothing rounds once more.
Graph PooledLogits() {
  Graph graph;
  graph.Add("conv1", Conv2d({.channels = 3, .relu = true}));
  graph.Add("conv2", Conv2d({.channels = kClasses}));
  graph.Add("norm", BatchNorm());
  graph.Add("pool", GlobalAveragePool());
  return graph;
}

// What is added to the logits is float32 as they are, and so is what products
// make of that.
Graph SkipToLogits() {
  Graph graph;
  graph.Add("first", Dense({.units = 9}), {Graph::kInput});
  graph.Add("skip", Dense({.units = kClasses}), {"first"});
  graph.Add("more", Dense({.units = 7}), {"skip"});
  graph.Add("back", Dense({.units = kClasses}), {"more"});
  graph.Add("logits", Add(), {"back", "skip"});
  return graph;
}

// A value of bfloat16 with three readers: gradients are added up.
Graph Branches() {
  Graph graph;
  graph.Add("conv", Conv2d({.channels = 4, .padding = 1}), {Graph::kInput});
  graph.Add("relu", Relu(), {"conv"});
  graph.Add("other", Conv2d({.channels = 4, .padding = 1}), {"conv"});
  graph.Add("sum", Add(), {"relu", "other"});
  graph.Add("join", Concat(), {"sum", "conv"});
  graph.Add("small", MaxPool(2), {"join"});
  graph.Add("large", Upsample({.scale = 2}), {"small"});
  graph.Add("mean", AveragePool(3), {"large"});
  graph.Add("flat", Flatten());
  graph.Add("share", Softmax());
  graph.Add("logits", Dense({.units = kClasses}));
  return graph;
}

TEST_CASE("What is not parted from the logits by a product is float32",
          "[cuda]") {
  CHECK(TypesOf(PooledLogits()) == "bbfff");
  CHECK(TypesOf(SkipToLogits()) == "bbffff");
  CHECK(TypesOf(Branches()) == "bbbbbbbbbbbf");
  Graph none;
  none.Add("flat", Flatten());
  CHECK(TypesOf(none) == "ff");
}

std::unique_ptr<Model> Build(Graph graph, Precision precision) {
  auto model =
      Model::Build(std::move(graph), kImage, {kBatch},
                   {.precision = precision, .queue = TestDevice().queue});
  INFO(model.status());
  REQUIRE(model.ok());
  return *std::move(model);
}

// Noise about the example's class, of eight bits.
void Fill(Model& model, uint64_t stream) {
  Random random({9, stream});
  const int64_t each = model.labels_per_example();
  std::vector<int32_t> labels(static_cast<size_t>(kBatch * each));
  std::vector<float> floats;
  for (int i = 0; i < kBatch; ++i) {
    for (int64_t k = 0; k < each; ++k) {
      labels[static_cast<size_t>(i * each + k)] = i % kClasses;
    }
    for (int64_t k = 0; k < kImage.size(); ++k) {
      const float bright = k % kClasses == i % kClasses ? 0.5f : 0.0f;
      floats.push_back(std::round((bright + random.Uniform(0, 0.5f)) * 256) /
                       256);
    }
  }
  DeviceQueue& queue = *TestDevice().queue;
  queue.Copy(model.labels(), labels.data(), labels.size() * sizeof(int32_t));
  if (model.input_type() == DataType::kBf16) {
    const std::vector<Bf16> rounded(floats.begin(), floats.end());
    queue.Copy(model.examples(), rounded.data(), rounded.size() * sizeof(Bf16));
  } else {
    queue.Copy(model.input(), floats.data(), floats.size() * sizeof(float));
  }
}

struct Run {
  Flat gradient;               // of the first step
  std::vector<double> losses;  // of each step
};

Run Learn(Graph graph, Precision precision, int steps) {
  const auto model = Build(std::move(graph), precision);
  Flat x(model->layout().size(), *TestDevice().queue);
  Flat first(x.size(), *TestDevice().queue);
  model->Initialize(3, x);
  std::vector<double> losses;
  Fill(*model, 0);
  model->Step(kBatch, x, {first});
  for (int step = 0; step < steps; ++step) {
    Fill(*model, static_cast<uint64_t>(step));
    losses.push_back(model->Step(kBatch, x, {x, -0.05f, 1}));
  }
  REQUIRE(TestDevice().queue->status().ok());
  return {first.ToHost(), losses};
}

// |a - b| / |b|
double Distance(const Flat& a, const Flat& b) {
  double difference = 0, length = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    difference += std::pow(double{a[i]} - b[i], 2);
    length += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / length);
}

// The largest difference of two runs' losses.
double WorstLoss(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
  }
  return worst;
}

// `gradient` bounds the distance of the first gradients, `loss` that of the
// losses.
void CheckLearning(const std::string& name, const std::function<Graph()>& make,
                   double gradient, double loss) {
  constexpr int kSteps = 5;
  const Run exact = Learn(make(), Precision::kFp32, kSteps);
  const Run rounded = Learn(make(), Precision::kBf16, kSteps);
  const double distance = Distance(rounded.gradient, exact.gradient);
  const double worst = WorstLoss(rounded.losses, exact.losses);
  INFO(name << ": gradients " << distance << ", losses " << worst
            << " from those of fp32");
  CHECK(distance > 0);
  CHECK(distance < gradient);
  CHECK(worst < loss);
}

// Measured, times two and a bit. Nearly all of it is the rounding of operands:
// what a product reads rounded is stored so, no more. It is large where a
// rounding takes the gradient elsewhere, to another number of a window or past
// a ReLU, and where few examples are normalised.
TEST_CASE("A model of bf16 learns as that of fp32 does", "[cuda]") {
  const auto zoo = [](const char* name) {
    return [name] { return *MakeGraph(name, kImage, kClasses); };
  };
  CheckLearning("mlp", zoo("mlp"), 0.07, 0.005);
  CheckLearning("cnn", zoo("cnn"), 0.25, 0.14);
  CheckLearning("unet", zoo("unet"), 0.1, 0.001);
  CheckLearning("resnet20", zoo("resnet20"), 0.9, 0.7);
  CheckLearning("pooled logits", &PooledLogits, 0.02, 0.007);
  CheckLearning("skip to the logits", &SkipToLogits, 0.02, 0.04);
  CheckLearning("branches", &Branches, 0.07, 0.001);
}

TEST_CASE("Steps of every model are recorded, and replayed as they were",
          "[cuda]") {
  const std::string name = GENERATE("mlp", "cnn", "resnet20", "unet");
  const Precision precision =
      GENERATE(Precision::kFp32, Precision::kTf32, Precision::kBf16);
  INFO(name << ", precision " << static_cast<int>(precision));
  const auto model = Build(*MakeGraph(name, kImage, kClasses), precision);
  Flat x(model->layout().size(), *TestDevice().queue), gradient(x.size());
  Flat there(x.size(), *TestDevice().queue);
  model->Initialize(3, x);
  const Flat start = x.ToHost();
  Fill(*model, 1);
  model->WarmUp([](int) {});
  CHECK(*model->recorded_steps() == 0);  // of warming up: forgotten
  const double loss = model->Step(kBatch, x, {there});
  gradient.CopyFrom(there);
  for (int step = 0; step < 2; ++step) {  // recorded, then replayed
    x.CopyFrom(start);
    CHECK(model->Step(kBatch, x, {there}) == loss);
    const Flat again = there.ToHost();
    CHECK(std::equal(again.span().begin(), again.span().end(),
                     gradient.span().begin()));
    const auto recorded = model->recorded_steps();
    INFO(recorded.status());
    CHECK((recorded.ok() && *recorded == 1));
  }
  CHECK(model->ways().back() == "steps: recorded and replayed");
}

TEST_CASE("A bf16 model evaluates what it trains", "[cuda]") {
  for (const std::string name : {"mlp", "cnn"}) {
    const auto model =
        Build(*MakeGraph(name, kImage, kClasses), Precision::kBf16);
    Flat x(model->layout().size(), *TestDevice().queue);
    Flat there(x.size(), *TestDevice().queue);
    model->Initialize(3, x);
    Fill(*model, 1);
    const double loss = model->Step(kBatch, x, {there});
    CHECK(model->Evaluate(kBatch, x).loss_sum / kBatch == Approx(loss));
  }
}

TEST_CASE("Activations of bf16 take half the memory", "[cuda]") {
  const auto message = [](Precision precision) {
    return std::string(
        Model::Build("mlp:32", {1, 28, 28}, 10, {1 << 30},
                     {.precision = precision, .queue = TestDevice().queue})
            .status()
            .message());
  };
  // Twice 784, 32 and 10 numbers an example, of which the 10 are logits.
  CHECK_THAT(message(Precision::kFp32), Contains("takes 6.5 TiB"));
  CHECK_THAT(message(Precision::kBf16), Contains("takes 3.3 TiB"));
}

}  // namespace
}  // namespace monsoon
