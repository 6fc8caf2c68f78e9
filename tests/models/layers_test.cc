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

std::vector<LayerCase> Cases() {
  std::vector<LayerCase> cases = PlainCases();
  for (LayerCase& test : DenseCases()) cases.push_back(std::move(test));
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
  absl::StatusOr<std::unique_ptr<DeviceQueue>> Fork() override {
    return absl::UnimplementedError("abacus");
  }
  void Follow(DeviceQueue&) override {}
  void* Allocate(size_t) override { return nullptr; }
  void Deallocate(void*, size_t) override {}
  void Copy(void*, const void*, size_t) override {}
  void Zero(void*, size_t) override {}
  MemoryResource& pinned() override { return HeapMemory(); }
  int64_t FreeBytes() const override { return 0; }
  absl::StatusOr<std::unique_ptr<Recording>> Record(
      absl::FunctionRef<void()>) override {
    return absl::UnimplementedError("abacus");
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
