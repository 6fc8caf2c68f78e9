// SPDX-License-Identifier: Apache-2.0
// The layers of mlp and cnn against plain loops and central differences.
#include "models/layers/layers.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>

#include "tests/models/conv_cases.h"
#include "tests/models/layer_bench.h"
#include "tests/models/layer_cases.h"

namespace monsoon {
namespace {

LayerCase DenseCase(std::string name, int64_t batch, Shape in, int64_t units) {
  return {std::move(name),
          Dense({.units = units}),
          batch,
          in,
          1,
          0.5f,
          [units](const At& x, const Shape& s, const Flat& p, int64_t n,
                  int64_t o, int64_t, int64_t) {
            double sum = p[units * s.size() + o];
            int64_t i = o * s.size();
            for (int64_t c = 0; c < s.channels; ++c) {
              for (int64_t h = 0; h < s.height; ++h) {
                for (int64_t w = 0; w < s.width; ++w) {
                  sum += p[i++] * x(n, c, h, w);
                }
              }
            }
            return sum;
          }};
}

std::vector<LayerCase> Cases() {
  std::vector<LayerCase> cases = PlainCases();
  cases.push_back(DenseCase("dense 1x1", 1, {1, 1, 1}, 1));
  cases.push_back(DenseCase("dense of odd sizes", 3, {7, 1, 1}, 5));
  cases.push_back(DenseCase("dense over an image", 2, {3, 4, 5}, 9));
  cases.push_back(DenseCase("dense, wide", 17, {33, 1, 1}, 18));
  for (LayerCase& test : ConvCases()) cases.push_back(std::move(test));
  return cases;
}

TEST_CASE("A layer computes what plain loops compute", "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    CheckValues(test);
  }
}

TEST_CASE("A layer's gradients are its central differences", "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    CheckGradients(test);
  }
}

TEST_CASE("A sink receives beta * into + scale * gradient", "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    CheckSink(test);
  }
}

TEST_CASE("A sink with beta 0 is not read", "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    CheckUnreadSink(test);
  }
}

TEST_CASE("The input gradient uses the weights from before the sink",
          "[models]") {
  for (const LayerCase& test : Cases()) {
    INFO(test.name);
    CheckSinkInWeights(test);
  }
}

TEST_CASE("A tie in a pool goes to the first in row order", "[models]") {
  LayerCase test = PoolCase("ties", 1, {1, 2, 2}, 1, 2);
  LayerBench bench(test);
  bench.dy[0] = 3;
  bench.Loss();
  bench.Backward({bench.dw});
  CHECK(bench.dx[0] == 3);
  CHECK(bench.dx[1] == 0);
  CHECK(bench.dx[2] == 0);
  CHECK(bench.dx[3] == 0);
}

// A device that nobody has written kernels for.
class Abacus final : public DeviceQueue {
 public:
  absl::string_view kind() const override { return "abacus"; }
  std::string name() const override { return "abacus"; }
  absl::Status status() const override { return {}; }
  absl::Status Wait() override { return {}; }
  uint64_t Mark() override { return 0; }
  bool Passed(uint64_t) override { return true; }
  absl::Status WaitFor(uint64_t) override { return {}; }
  void* Allocate(size_t) override { return nullptr; }
  void Deallocate(void*, size_t) override {}
  void Copy(void*, const void*, size_t) override {}
  void Zero(void*, size_t) override {}
  MemoryResource& pinned() override { return HeapMemory(); }
  int64_t FreeBytes() const override { return 0; }
  std::unique_ptr<Recording> Record(absl::FunctionRef<void()>) override {
    return nullptr;
  }
  void Replay(const Recording&) override {}
  float Largest(const float*, int64_t) override { return 0; }
  double Norm(const float*, int64_t) override { return 0; }
  int64_t FirstNotFinite(const float*, int64_t) override { return -1; }
};

TEST_CASE("A device without a kernel is unimplemented", "[models]") {
  Abacus abacus;
  Placement place{.device = {&abacus}, .inputs = {{.shape = {1, 1, 4}}}};
  place.output.shape = {1, 1, 4};
  const auto built = Relu()->Build(place);
  REQUIRE(built.status().code() == absl::StatusCode::kUnimplemented);
  CHECK(built.status().message() ==
        "no kernel relu for device \"abacus\"; it exists for: cpu");
}

}  // namespace
}  // namespace monsoon
