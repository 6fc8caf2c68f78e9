// SPDX-License-Identifier: Apache-2.0
// The layers whose kernels are our own against plain loops and central
// differences, on the device; tests/models/layer_cases.h has the cases of all
// devices. Here are those of channels that lie side by side, as cuDNN likes
// them: one block, whatever their number.
#include <catch2/catch.hpp>
#include <utility>

#include "models/layers/layers.h"
#include "tests/models/layer_bench.h"
#include "tests/models/layer_cases.h"

namespace monsoon {
namespace {

// In float32, and in bfloat16.
void CheckBoth(LayerCase test, const Bf16Errors& errors) {
  CheckLayer(test);
  test.input_type = test.output_type = DataType::kBf16;
  CheckBf16Layer(test, errors);
}

void CheckAll(std::vector<LayerCase> cases, const Bf16Errors& errors) {
  for (LayerCase& test : cases) CheckBoth(std::move(test), errors);
}

// What layers that only move numbers do to them.
constexpr Bf16Errors kExact{.y = {.times = 0}, .dx = {.times = 0}};
// One rounding of what is written.
constexpr Bf16Errors kRounded{};

TEST_CASE("ReLU, max pooling and flattening on a device", "[cuda]") {
  CheckAll(PlainCases(), kExact);
  CheckBoth(PoolCase("pool, one block", 2, {6, 5, 4}, 6, 2), kExact);
  CheckBoth(PoolCase("pool of 3, one block", 1, {3, 7, 6}, 3, 3), kExact);
  CheckBoth(FlattenCase("flatten, one block", 3, {6, 3, 5}, 6), kExact);
  CheckLayer(FlattenCase("flatten a vector", 3, {6, 1, 1}, 6));
}

TEST_CASE("A tie in a pool goes to the first on a device", "[cuda]") {
  const LayerCase test = PoolCase("ties", 1, {1, 2, 2}, 1, 2);
  LayerBench bench(test);
  bench.dy[0] = 3;
  bench.Loss();
  bench.Backward({bench.dw});
  for (int64_t i = 0; i < 4; ++i) CHECK(bench.dx[i] == (i == 0 ? 3 : 0));
}

TEST_CASE("Add on a device", "[cuda]") {
  CheckAll(AddCases(), {.dx = {.times = 0}});
  CheckBoth(AddCase("one block", 2, {6, 3, 7}, 6, 6), {.dx = {.times = 0}});
  CheckBoth(AddCase("one block and plain", 2, {6, 3, 7}, 6, 1),
            {.dx = {.times = 0}});
  CheckLayer(AddCase("plain and one block", 2, {6, 3, 7}, 1, 6));
}

TEST_CASE("Concat on a device", "[cuda]") {
  CheckAll(ConcatCases(), kExact);
  CheckLayer(ConcatCase("one block each", 2,
                        {{{6, 3, 5}, 6}, {{1, 3, 5}, 1}, {{3, 3, 5}, 3}}));
}

TEST_CASE("Concat keeps channels side by side", "[cuda]") {
  const auto block = [](std::vector<LayerCase::Input> inputs) {
    return LayerBench(ConcatCase("", 1, std::move(inputs))).place.output.block;
  };
  CHECK(block({{{6, 3, 5}, 6}, {{3, 3, 5}, 3}}) == 9);
  CHECK(block({{{16, 3, 5}, 16}, {{16, 3, 5}, 16}}) == 32);
  CHECK(block({{{16, 3, 5}, 8}, {{8, 3, 5}, 8}}) == 8);
  CHECK(block({{{16, 3, 5}, 8}, {{8, 3, 5}, 4}}) == 1);
  CHECK(block({{{1, 3, 5}, 1}, {{1, 3, 5}, 1}}) == 1);
}

TEST_CASE("Average pooling on a device", "[cuda]") {
  CheckAll(AverageCases(), kRounded);
  CheckBoth(AverageCase("one block", 2, {6, 5, 7}, 6, 2), kRounded);
  CheckBoth(AverageCase("of everything, one block", 2, {6, 9, 7}, 6, 0),
            kRounded);
  CheckLayer(AverageCase("of 6 with edges", 2, {3, 13, 7}, 1, 6));
}

TEST_CASE("Upsampling on a device", "[cuda]") {
  CheckAll(UpsampleCases(), kRounded);
  CheckBoth(UpsampleCase("nearest, one block", 2, {3, 3, 2}, 3, {2, false}),
            kRounded);
  CheckBoth(UpsampleCase("bilinear, one block", 2, {6, 3, 4}, 6, {2, true}),
            kRounded);
  CheckLayer(UpsampleCase("by 1", 2, {3, 3, 4}, 1, {1, true}));
}

// The gradient is made of Y as it was rounded: y (dy - sum y dy), where |dy|
// and the sum of y are at most 1.
constexpr Bf16Errors kSoftmax{.dx = {.times = 2, .other = 1}};

TEST_CASE("Softmax on a device", "[cuda]") {
  CheckAll(SoftmaxCases(), kSoftmax);
  CheckBoth(SoftmaxCase("one block", 2, {6, 3, 2}, 6), kSoftmax);
  CheckBoth(SoftmaxCase("many channels", 2, {35, 1, 1}, 1), kSoftmax);
  CheckBoth(SoftmaxCase("many channels, one block", 1, {33, 3, 1}, 33),
            kSoftmax);
  CheckLayer(SoftmaxCase("many channels, plain", 1, {33, 3, 1}, 1));
}

TEST_CASE("Batch normalisation of bfloat16", "[cuda]") {
  std::vector<LayerCase> cases = BatchNormCases();
  for (LayerCase& test : cases) {
    test.input_type = test.output_type = DataType::kBf16;
    CheckBf16Layer(test, kRounded);
  }
}

TEST_CASE("Dropout of bfloat16", "[cuda]") {
  LayerCase test = DropoutCase(0.4, 3, {5, 3, 7});
  test.input_type = test.output_type = DataType::kBf16;
  CheckBf16Layer(test, kRounded);
}

TEST_CASE("Batch normalisation in one block", "[cuda]") {
  CheckBoth(BatchNormCase("one block", 3, {6, 3, 5}, 6), kRounded);
  CheckLayer(BatchNormCase("one block of one image", 1, {3, 7, 9}, 3));
}

}  // namespace
}  // namespace monsoon
