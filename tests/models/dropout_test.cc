// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/dropout.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "models/layers/layers.h"
#include "tests/models/layer_bench.h"
#include "tests/models/layer_cases.h"
#include "tests/models/on_device.h"

namespace monsoon {
namespace {

// Which numbers of x = 1 survive a draw.
std::vector<bool> Kept(LayerBench& bench, uint64_t draw) {
  for (float& v : bench.x.span()) v = 1;
  bench.draw = draw;
  bench.Loss();
  std::vector<bool> kept;
  for (const float v : bench.y.span()) kept.push_back(v != 0);
  return kept;
}

double ShareOf(const std::vector<bool>& flags) {
  return double(std::count(flags.begin(), flags.end(), true)) /
         double(flags.size());
}

TEST_CASE("Dropout drops the share it is asked to and scales what is left",
          "[models]") {
  for (const double rate : {0.0, 0.1, 0.5, 0.9}) {
    LayerBench bench(DropoutCase(rate, 33, {31, 17, 7}));
    const std::vector<bool> kept = Kept(bench, 7);
    // Of 121,737 numbers the share strays by at most 0.0015 (one sigma).
    CHECK(ShareOf(kept) == Approx(1 - rate).margin(0.006));
    const auto scaled = static_cast<float>(1 / (1 - rate));
    for (int64_t i = 0; i < bench.y.size(); ++i) {
      if (kept[size_t(i)] && bench.y[i] != scaled) FAIL("not scaled");
    }
  }
}

TEST_CASE("The same draw drops the same, another one others", "[models]") {
  LayerBench bench(DropoutCase(0.5, 7, {31, 3, 33}));
  const std::vector<bool> first = Kept(bench, 12345);
  CHECK(Kept(bench, 12345) == first);
  LayerBench other(DropoutCase(0.5, 7, {31, 3, 33}));
  CHECK(Kept(other, 12345) == first);
  // Neighbouring draws, nodes and places know nothing of each other: of 21,483
  // pairs half agree, +-0.0034 (one sigma).
  const auto agreement = [&](const std::vector<bool>& second, size_t shift) {
    size_t equal = 0;
    for (size_t i = shift; i < first.size(); ++i) {
      if (first[i] == second[i - shift]) ++equal;
    }
    return double(equal) / double(first.size() - shift);
  };
  for (const uint64_t draw : {12344ull, 12346ull, 12345ull << 32}) {
    CHECK(agreement(Kept(bench, draw), 0) == Approx(0.5).margin(0.015));
  }
  for (const size_t shift : {1, 2, 8, 33}) {
    CHECK(agreement(first, shift) == Approx(0.5).margin(0.015));
  }
  LayerCase test = DropoutCase(0.5, 7, {31, 3, 33});
  Placement place = bench.place;
  place.node = 1;
  bench.op = *test.layer->Build(place);
  CHECK(agreement(Kept(bench, 12345), 0) == Approx(0.5).margin(0.015));
}

TEST_CASE("All 64 bits of a key matter", "[models]") {
  constexpr int64_t kSize = 1000;
  auto kernel =
      MakeKernel<DropoutKernel>(TestDevice(), {.size = kSize, .rate = 0.5});
  REQUIRE(kernel.ok());
  OnDevice<float> ones(std::vector<float>(kSize, 1));
  OnDevice<float> first(kSize), second(kSize);
  (*kernel)->Apply(5, ones.data(), first.data());
  for (const uint64_t bit : {0, 31, 32, 63}) {
    (*kernel)->Apply(5 ^ (uint64_t{1} << bit), ones.data(), second.data());
    CHECK(first.Get() != second.Get());
  }
}

TEST_CASE("Dropout's gradient takes the way of its values", "[models]") {
  LayerBench bench(DropoutCase(0.25, 3, {5, 7, 3}));
  FillUniform(bench.x, 1);
  FillUniform(bench.dy, 2);
  bench.draw = 3;
  bench.Loss();
  bench.Backward({bench.dw});
  for (int64_t i = 0; i < bench.x.size(); ++i) {
    const float factor = bench.y[i] == 0 ? 0 : 1 / 0.75f;
    CHECK(bench.dx[i] == Approx(bench.dy[i] * factor));
  }
}

TEST_CASE("Dropout leaves an evaluation alone", "[models]") {
  LayerBench bench(DropoutCase(0.5, 2, {3, 3, 3}));
  FillUniform(bench.x, 1);
  bench.training = false;
  bench.Loss();
  CHECK(bench.y.span() == bench.x.span());
}

TEST_CASE("Dropout in place drops the same", "[models]") {
  const LayerCase test = DropoutCase(0.5, 2, {8, 3, 3});
  LayerBench bench(test);
  FillUniform(bench.x, 1);
  bench.Loss();
  OnDevice<float> x({bench.x.span().begin(), bench.x.span().end()});
  Placement together = bench.place;
  together.inputs[0].data = together.output.data = x.data();
  const auto op = *test.layer->Build(together);
  Flat none;
  op->Forward({.x = none, .training = true, .draw = bench.draw});
  const std::vector<float> y = x.Get();
  CHECK(absl::MakeConstSpan(y) == bench.y.span());
}

}  // namespace
}  // namespace monsoon
