// SPDX-License-Identifier: Apache-2.0
// Dense layers on a device against plain loops in double precision, at every
// precision: operands are numbers of eight bits, which all of them have
// exactly.
#include "models/kernels/dense.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "models/layers/layers.h"
#include "tests/models/dense_product.h"
#include "tests/models/layer_bench.h"
#include "tests/models/numbers.h"

namespace monsoon {
namespace {

using Spec = DenseKernel::Spec;

Flat There(const Flat& here) {
  Flat there(here.size(), *TestDevice().queue);
  there.CopyFrom(here);
  return there;
}

void Check(const Spec& s) {
  INFO("batch " << s.batch << ", " << s.inputs << " to " << s.outputs
                << ", relu " << s.relu);
  const Product expected(s);
  const auto kernel = *MakeKernel<DenseKernel>(TestDevice(), s);
  const Flat x = There(expected.x), w = There(expected.w),
             b = There(expected.b);
  Flat y = There(NaNs(expected.dy.size())), dw = There(NaNs(w.size()));
  Flat db = There(NaNs(s.outputs)), dx = There(NaNs(x.size()));
  Flat dy = There(expected.dy);
  kernel->Forward(x.data(), w.data(), b.data(), y.data());
  kernel->Backward(x.data(), y.data(), w.data(), dy.data(), dx.data(),
                   {{dw}, 0}, {{db}, 0});
  // A single output may be the small sum of terms that are up to 1.
  CHECK(Error(y.ToHost(), expected.y, /*least=*/1) < kDenseTolerance);
  CHECK(Error(dw.ToHost(), expected.dw) < kDenseTolerance);
  CHECK(Error(db.ToHost(), expected.db) < kDenseTolerance);
  CHECK(Error(dx.ToHost(), expected.dx) < kDenseTolerance);
}

std::vector<Spec> Specs(Precision precision) {
  std::vector<Spec> specs = OddSpecs(Precision::kBf16);  // of its numbers
  for (Spec& spec : specs) spec.precision = precision;
  return specs;
}

// Product draws by the precision: eight bits for bf16 alone. Where operands are
// rounded otherwise, the difference is below theirs.
TEST_CASE("A dense layer on a device computes what plain loops do", "[cuda]") {
  for (const Spec& spec : Specs(Precision::kFp32)) Check(spec);
}

TEST_CASE("A dense layer of bf16 on a device computes what plain loops do",
          "[cuda]") {
  for (const Spec& spec : Specs(Precision::kBf16)) Check(spec);
}

TEST_CASE("A precision rounds operands, and nothing else", "[cuda]") {
  // 1 + 2^-9 has ten bits behind the one, 1 + 2^-12 thirteen.
  const auto product = [](Precision precision, float value) {
    const auto kernel = *MakeKernel<DenseKernel>(
        TestDevice(),
        {.batch = 1, .inputs = 1, .outputs = 1, .precision = precision});
    Flat x(1), w(1), b(1), y(1);
    x[0] = value;
    w[0] = 1;
    b[0] = 0x1p-20f;  // sums stay float32
    Flat there = There(y);
    kernel->Forward(There(x).data(), There(w).data(), There(b).data(),
                    there.data());
    return there.ToHost()[0] - 0x1p-20f;
  };
  CHECK(product(Precision::kFp32, 1 + 0x1p-12f) == 1 + 0x1p-12f);
  CHECK(product(Precision::kTf32, 1 + 0x1p-9f) == 1 + 0x1p-9f);
  CHECK(product(Precision::kTf32, 1 + 0x1p-12f) == 1);
  CHECK(product(Precision::kBf16, 1 + 0x1p-7f) == 1 + 0x1p-7f);
  CHECK(product(Precision::kBf16, 1 + 0x1p-9f) == 1);
}

TEST_CASE("A dense layer keeps the sink's promises on a device", "[cuda]") {
  for (const bool relu : {false, true}) {
    LayerCase test{
        "dense", Dense({.units = 9, .relu = relu}), 5, {3, 4, 5}, 1, 0.01f,
        nullptr};
    CheckSink(test);
    CheckUnreadSink(test);
    CheckSinkInWeights(test);
  }
}

}  // namespace
}  // namespace monsoon
