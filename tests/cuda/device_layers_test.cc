// SPDX-License-Identifier: Apache-2.0
// The layers whose kernels are our own against plain loops and central
// differences, on the device; tests/models/layer_cases.h has the cases of all
// devices. Here are those of channels that lie side by side, as cuDNN likes
// them: one block, whatever their number.
#include <catch2/catch.hpp>

#include "models/layers/layers.h"
#include "tests/models/layer_bench.h"
#include "tests/models/layer_cases.h"

namespace monsoon {
namespace {

void CheckAll(const std::vector<LayerCase>& cases) {
  for (const LayerCase& test : cases) CheckLayer(test);
}

TEST_CASE("ReLU, max pooling and flattening on a device", "[cuda]") {
  CheckAll(PlainCases());
  CheckLayer(PoolCase("pool, one block", 2, {6, 5, 4}, 6, 2));
  CheckLayer(PoolCase("pool of 3, one block", 1, {3, 7, 6}, 3, 3));
  CheckLayer(FlattenCase("flatten, one block", 3, {6, 3, 5}, 6));
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
  CheckAll(AddCases());
  CheckLayer(AddCase("one block", 2, {6, 3, 7}, 6, 6));
  CheckLayer(AddCase("one block and plain", 2, {6, 3, 7}, 6, 1));
  CheckLayer(AddCase("plain and one block", 2, {6, 3, 7}, 1, 6));
}

TEST_CASE("Concat on a device", "[cuda]") {
  CheckAll(ConcatCases());
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
  CheckAll(AverageCases());
  CheckLayer(AverageCase("one block", 2, {6, 5, 7}, 6, 2));
  CheckLayer(AverageCase("of everything, one block", 2, {6, 9, 7}, 6, 0));
  CheckLayer(AverageCase("of 6 with edges", 2, {3, 13, 7}, 1, 6));
}

TEST_CASE("Upsampling on a device", "[cuda]") {
  CheckAll(UpsampleCases());
  CheckLayer(UpsampleCase("nearest, one block", 2, {3, 3, 2}, 3, {2, false}));
  CheckLayer(UpsampleCase("bilinear, one block", 2, {6, 3, 4}, 6, {2, true}));
  CheckLayer(UpsampleCase("by 1", 2, {3, 3, 4}, 1, {1, true}));
}

TEST_CASE("Softmax on a device", "[cuda]") {
  CheckAll(SoftmaxCases());
  CheckLayer(SoftmaxCase("one block", 2, {6, 3, 2}, 6));
  CheckLayer(SoftmaxCase("many channels", 2, {35, 1, 1}, 1));
  CheckLayer(SoftmaxCase("many channels, one block", 1, {33, 3, 1}, 33));
  CheckLayer(SoftmaxCase("many channels, plain", 1, {33, 3, 1}, 1));
}

TEST_CASE("Batch normalisation in one block", "[cuda]") {
  CheckLayer(BatchNormCase("one block", 3, {6, 3, 5}, 6));
  CheckLayer(BatchNormCase("one block of one image", 1, {3, 7, 9}, 3));
}

}  // namespace
}  // namespace monsoon
