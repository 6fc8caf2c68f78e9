// SPDX-License-Identifier: Apache-2.0
#include "models/model.h"

#include <omp.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/random.h"
#include "models/layers/layers.h"

namespace monsoon {
namespace {

constexpr Shape kImage{1, 28, 28};

std::unique_ptr<Model> Build(absl::string_view name,
                             const std::vector<int>& batch_sizes) {
  auto model = Model::Build(name, kImage, 10, batch_sizes);
  REQUIRE(model.ok());
  return *std::move(model);
}

Flat Initial(const Model& model, uint64_t seed = 1) {
  Flat x(model.layout().size());
  model.Initialize(seed, x);
  return x;
}

// Examples first, first + 1, ... of an endless random data set.
void Fill(Model& model, int64_t first, int count, const Shape& shape = kImage) {
  for (int i = 0; i < count; ++i) {
    Random random({42, static_cast<uint64_t>(first + i)});
    const int64_t labels = model.labels_per_example();
    for (int64_t k = 0; k < labels; ++k) {
      model.labels()[i * labels + k] =
          static_cast<int32_t>(random.Below(model.classes()));
    }
    for (int64_t k = 0; k < shape.size(); ++k) {
      model.input()[i * shape.size() + k] = random.Uniform(0, 1);
    }
  }
}

// Models in which what an example gives does not depend on the others of its
// batch: those without batch normalisation.
std::vector<std::string> ModelsWithoutStatistics() {
  std::vector<std::string> names;
  for (const std::string& name : ModelNames()) {
    const auto layout = LayoutOf(name, kImage, 10);
    REQUIRE(layout.ok());
    if (layout->parameters() == layout->size()) names.push_back(name);
  }
  REQUIRE(names.size() >= 3);
  return names;
}

double LargestDifference(const Flat& a, const Flat& b) {
  double largest = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, double{std::abs(a[i] - b[i])});
  }
  return largest;
}

bool SameBits(const Flat& a, const Flat& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// The largest |gradient - central difference| / (1 + |gradient|) of the mean
// loss in training, over every parameter but the statistics.
double WorstError(Model& model, int count, Flat& x, float difference,
                  uint64_t draw = 0) {
  Flat gradient(x.size()), unused(x.size());
  model.Step(count, x, {gradient}, draw);
  double worst = 0;
  for (int64_t i = 0; i < model.layout().parameters(); ++i) {
    const float kept = x[i];
    x[i] = kept + difference;
    const double above = model.Step(count, x, {unused}, draw);
    x[i] = kept - difference;
    const double below = model.Step(count, x, {unused}, draw);
    x[i] = kept;
    const double expected = (above - below) / (2 * difference);
    worst = std::max(
        worst, std::abs(gradient[i] - expected) / (1 + std::abs(expected)));
  }
  return worst;
}

// Truncation is difference^2 / 6 times a third derivative of order 1, rounding
// of the loss 1e-6 / difference: with 1e-2 both stay below 2e-4. No ReLU here,
// whose kinks would be crossed.
constexpr double kGraphTolerance = 1e-3;

TEST_CASE(
    "A chain of layers in different orders of channels has the right "
    "gradient",
    "[models]") {
  Graph graph;
  graph.Add("conv1", Conv2d({.channels = 8}));
  graph.Add("conv2", Conv2d({.channels = 5, .padding = 1}));
  graph.Add("conv3", Conv2d({.channels = 16}));
  graph.Add("flatten", Flatten());
  graph.Add("fc", Dense({.units = 3}));
  const Shape shape{2, 7, 6};
  auto model = Model::Build(std::move(graph), shape, {4});
  REQUIRE(model.ok());
  Fill(**model, 0, 4, shape);
  Flat x = Initial(**model);
  CHECK(WorstError(**model, 4, x, 1e-2f) < kGraphTolerance);
}

TEST_CASE("A skip connection adds up the gradients of all readers",
          "[models]") {
  Graph graph;
  graph.Add("fc1", Dense({.units = 6}));
  graph.Add("fc2", Dense({.units = 6}));
  graph.Add("add1", Add(), {"fc1", "fc2"});
  graph.Add("fc3", Dense({.units = 6}));
  graph.Add("add2", Add(), {"fc3", "fc1"});
  graph.Add("add3", Add(), {"add2", "add1"});
  graph.Add("fc4", Dense({.units = 3}));
  const Shape shape{5, 1, 1};
  auto model = Model::Build(std::move(graph), shape, {4, 3});
  REQUIRE(model.ok());
  Fill(**model, 0, 4, shape);
  Flat x = Initial(**model);
  CHECK(WorstError(**model, 4, x, 1e-2f) < kGraphTolerance);
  CHECK(WorstError(**model, 3, x, 1e-2f) < kGraphTolerance);
}

TEST_CASE("Every layer hands the gradient on inside of a network", "[models]") {
  Graph graph;
  graph.Add("conv1", Conv2d({.channels = 8, .padding = 1, .bias = false}));
  graph.Add("norm", BatchNorm());
  graph.Add("dropout", Dropout(0.3));
  graph.Add("conv2", Conv2d({.channels = 8, .padding = 1}));
  graph.Add("add", Add(), {"conv2", "dropout"});
  graph.Add("pool", AveragePool(2));
  graph.Add("grow", ConvTranspose2d({.channels = 3}));
  graph.Add("up", Upsample({.bilinear = true}), {"pool"});
  graph.Add("join", Concat(), {"grow", "up", "conv1", Graph::kInput});
  graph.Add("softmax", Softmax());
  graph.Add("drop", Dropout(0.2));
  graph.Add("conv3", Conv2d({.channels = 3, .kernel = 1}));
  const Shape shape{2, 6, 4};
  auto model =
      Model::Build(std::move(graph), shape, {4, 1}, {.label_smoothing = 0.1});
  REQUIRE(model.ok());
  CHECK((*model)->labels_per_example() == 24);
  Fill(**model, 0, 4, shape);
  Flat x = Initial(**model);
  CHECK(WorstError(**model, 4, x, 1e-2f, 5) < kGraphTolerance);
  CHECK(WorstError(**model, 1, x, 1e-2f, 6) < kGraphTolerance);
}

TEST_CASE("Dropout is a matter of the draw, and of training", "[models]") {
  Graph graph;
  graph.Add("fc1", Dense({.units = 20, .relu = true}));
  graph.Add("drop", Dropout(0.5));
  graph.Add("fc2", Dense({.units = 3}));
  const Shape shape{5, 1, 1};
  auto model = Model::Build(std::move(graph), shape, {7});
  REQUIRE(model.ok());
  Fill(**model, 0, 7, shape);
  Flat x = Initial(**model), unused(x.size());
  const float loss = (*model)->Step(7, x, {unused}, 1);
  CHECK((*model)->Step(7, x, {unused}, 2) != loss);
  const double evaluated = (*model)->Evaluate(7, x).loss_sum;
  CHECK((*model)->Step(7, x, {unused}, 1) == loss);
  CHECK((*model)->Evaluate(7, x).loss_sum == evaluated);
}

TEST_CASE("A label is smoothed in training alone", "[models]") {
  Flat x;
  double plain = 0, smoothed = 0, evaluated[2];
  for (const double smoothing : {0.0, 0.4}) {
    auto model =
        Model::Build("mlp:5", kImage, 10, {8}, {.label_smoothing = smoothing});
    REQUIRE(model.ok());
    Fill(**model, 0, 8);
    x = Initial(**model);
    Flat unused(x.size());
    (smoothing > 0 ? smoothed : plain) = (*model)->Step(8, x, {unused});
    evaluated[smoothing > 0 ? 1 : 0] = (*model)->Evaluate(8, x).loss_sum;
  }
  CHECK(smoothed != plain);
  CHECK(evaluated[0] == evaluated[1]);
  CHECK(evaluated[0] / 8 == Approx(plain));
  for (const double smoothing : {-0.1, 1.0, double(NAN)}) {
    CHECK(Model::Build("mlp:5", kImage, 10, {8}, {.label_smoothing = smoothing})
              .status()
              .code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("In bf16 a model learns as it does in fp32, or says what is missing",
          "[models]") {
  auto model =
      Model::Build("cnn", kImage, 10, {8}, {.precision = Precision::kBf16});
  if (!CheckPrecision(Precision::kBf16, Device()).ok()) {
    CHECK(model.status().code() == absl::StatusCode::kUnimplemented);
    CHECK_THAT(std::string(model.status().message()),
               Catch::Contains("bf16") && Catch::Contains("use fp32"));
    return;
  }
  REQUIRE(model.ok());
  auto exact = Model::Build("cnn", kImage, 10, {8});
  REQUIRE(exact.ok());
  Fill(**model, 0, 8);
  Fill(**exact, 0, 8);
  Flat x = Initial(**model), gradient(x.size()), wanted(x.size());
  const float loss = (*model)->Step(8, x, {gradient});
  CHECK(double{loss} == Approx((*exact)->Step(8, x, {wanted})).epsilon(0.01));
  const double product =
      std::inner_product(gradient.span().begin(), gradient.span().end(),
                         wanted.span().begin(), 0.0);
  CHECK(product > 0.99 * Norm(gradient) * Norm(wanted));
}

TEST_CASE("ReLU is in place only where nobody else reads its input",
          "[models]") {
  Graph graph;
  graph.Add("relu0", Relu(), {Graph::kInput});
  graph.Add("fc1", Dense({.units = 4}));
  graph.Add("relu1", Relu());
  graph.Add("add", Add(), {"relu1", "fc1"});
  const Shape shape{4, 1, 1};
  auto model = Model::Build(std::move(graph), shape, {1});
  REQUIRE(model.ok());
  Flat x((*model)->layout().size());
  for (int i = 0; i < 4; ++i) x[5 * i] = 1;  // fc1 is the identity
  const std::vector<float> input = {3, -2, 1, 0};
  std::copy(input.begin(), input.end(), (*model)->input());
  x[16 + 1] = -1;  // fc1 = [3, -1, 1, 0], logits = [6, -1, 2, 0]
  (*model)->labels()[0] = 0;
  const double expected =
      std::log(std::exp(6.0) + std::exp(-1.0) + std::exp(2.0) + 1) - 6;
  CHECK((*model)->Evaluate(1, x).loss_sum == Approx(expected).epsilon(1e-5));
  CHECK((*model)->input()[1] == -2);
}

TEST_CASE("Writing the step into the parameters equals a separate update",
          "[models]") {
  for (const std::string& name : ModelNames()) {
    INFO(name);
    auto model = Build(name, {8});
    Fill(*model, 0, 8);
    Flat x = Initial(*model), gradient(x.size());
    const float loss = model->Step(8, x, {gradient});
    Flat expected = x.Clone();
    ForEach([](float& v, float g) { v -= 0.1f * g; }, expected, gradient);
    CHECK(model->Step(8, x, {x, -0.1f, 1}) == loss);
    // One rounding more or less of numbers below 1. Statistics have moved
    // twice.
    const int64_t moved = model->layout().parameters();
    CHECK(LargestDifference(x.Slice(0, moved), expected.Slice(0, moved)) <
          1e-6);
    CHECK(Norm(gradient) > 0.01);
  }
}

TEST_CASE("A smaller batch is the mean over its own examples", "[models]") {
  for (const std::string& name : ModelsWithoutStatistics()) {
    INFO(name);
    auto model = Build(name, {1, 3, 8});
    Flat x = Initial(*model);
    Flat mean(x.size()), gradient(x.size());
    double loss = 0;
    for (int i = 0; i < 3; ++i) {
      Fill(*model, i, 1);
      loss += model->Step(1, x, {mean, 1.0f / 3, i == 0 ? 0.0f : 1.0f}) / 3;
    }
    // What lies behind the tail is not looked at.
    Fill(*model, 0, 8);
    CHECK(model->Step(3, x, {gradient}) == Approx(loss).epsilon(1e-5));
    CHECK(LargestDifference(gradient, mean) < 1e-5);
    CHECK(Norm(gradient) > 0.01);
  }
}

TEST_CASE("Two halves of a batch average to the whole batch's gradient",
          "[models]") {
  for (const std::string& name : ModelsWithoutStatistics()) {
    INFO(name);
    auto model = Build(name, {6, 12});
    Flat x = Initial(*model);
    Flat halves(x.size()), whole(x.size());
    Fill(*model, 0, 6);
    model->Step(6, x, {halves, 0.5f, 0});
    Fill(*model, 6, 6);
    model->Step(6, x, {halves, 0.5f, 1});
    Fill(*model, 0, 12);
    model->Step(12, x, {whole});
    CHECK(LargestDifference(halves, whole) < 1e-5);
    CHECK(Norm(whole) > 0.01);
  }
}

TEST_CASE("Evaluate sees the loss that Step reports", "[models]") {
  for (const std::string& name : ModelsWithoutStatistics()) {
    INFO(name);
    auto model = Build(name, {7});
    Fill(*model, 0, 7);
    Flat x = Initial(*model);
    Flat gradient(x.size());
    const float loss = model->Step(7, x, {gradient});
    const Score score = model->Evaluate(7, x);
    const int64_t labels = 7 * model->labels_per_example();
    CHECK(static_cast<float>(score.loss_sum / double(labels)) == loss);
    CHECK(score.correct <= labels);
  }
}

TEST_CASE("A model learns a few examples by heart", "[models]") {
  for (const std::string name : {"mlp:30", "cnn"}) {
    INFO(name);
    auto model = Build(name, {10});
    Fill(*model, 0, 10);
    Flat x = Initial(*model);
    for (int step = 0; step < 200; ++step) model->Step(10, x, {x, -0.05f, 1});
    const Score score = model->Evaluate(10, x);
    CHECK(score.correct == 10);
    CHECK(score.loss_sum / 10 < 0.1);
  }
}

TEST_CASE("The same steps give the same bits", "[models]") {
  omp_set_num_threads(1);
  for (const std::string& name : ModelNames()) {
    INFO(name);
    Flat results[2];
    for (Flat& x : results) {
      auto model = Build(name, {8, 5});
      x = Initial(*model);
      for (int step = 0; step < 3; ++step) {
        Fill(*model, 8 * step, 8);
        model->Step(step == 2 ? 5 : 8, x, {x, -0.1f, 1});
      }
    }
    CHECK(SameBits(results[0], results[1]));
  }
}

TEST_CASE("Models in several threads do not disturb each other", "[models]") {
  const auto train = [](const std::string& name) {
    omp_set_num_threads(1);
    auto model = Model::Build(name, kImage, 10, {8});
    Flat x((*model)->layout().size());
    (*model)->Initialize(1, x);
    for (int step = 0; step < 5; ++step) {
      Fill(**model, 8 * step, 8);
      (*model)->Step(8, x, {x, -0.1f, 1});
    }
    return x;
  };
  for (const std::string& name : ModelNames()) {
    INFO(name);
    const Flat alone = train(name);
    std::vector<Flat> together(4);
    std::vector<std::thread> threads;
    for (Flat& x : together) {
      threads.emplace_back([&train, &name, &x] { x = train(name); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const Flat& x : together) CHECK(SameBits(x, alone));
  }
}

TEST_CASE("A model may be built in one thread and run in another", "[models]") {
  auto model = Build("cnn", {4});
  Fill(*model, 0, 4);
  Flat x = Initial(*model);
  Flat here(x.size()), there(x.size());
  std::thread([&] { model->Step(4, x, {there}); }).join();
  model->Step(4, x, {here});
  CHECK(LargestDifference(here, there) < 1e-5);
  CHECK(Norm(there) > 0.01);
}

}  // namespace
}  // namespace monsoon
