// SPDX-License-Identifier: Apache-2.0
// Every way of computing a dense layer against plain loops in double precision,
// over odd shapes; what is to be overwritten holds NaNs before.
#include <omp.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <vector>

#include "models/kernels/cpu/dense_ways.h"
#include "tests/models/dense_product.h"
#include "tests/models/numbers.h"

namespace monsoon {
namespace {

using Spec = DenseKernel::Spec;
using MakeDense = std::unique_ptr<DenseKernel> (*)(const Spec&);

std::unique_ptr<DenseKernel> MakeBf16(const Spec& spec) {
  return *MakeBf16Dense(spec);
}

void Check(MakeDense make, const Spec& s) {
  INFO("batch " << s.batch << ", " << s.inputs << " to " << s.outputs
                << ", relu " << s.relu);
  const Product expected(s);
  const auto kernel = make(s);
  Flat y = NaNs(expected.dy.size()), dw = NaNs(expected.w.size());
  Flat db = NaNs(s.outputs), dx = NaNs(expected.x.size());
  Flat dy = expected.dy.Clone();
  kernel->Forward(expected.x.data(), expected.w.data(), expected.b.data(),
                  y.data());
  kernel->Backward(expected.x.data(), y.data(), expected.w.data(), dy.data(),
                   dx.data(), {{dw}, 0}, {{db}, 0});
  // A single output may be the small sum of terms that are up to 1.
  CHECK(Error(y, expected.y, /*least=*/1) < kDenseTolerance);
  CHECK(Error(dw, expected.dw) < kDenseTolerance);
  CHECK(Error(db, expected.db) < kDenseTolerance);
  CHECK(Error(dx, expected.dx) < kDenseTolerance);
}

TEST_CASE("A dense layer in tiles computes what plain loops compute",
          "[models]") {
  for (const Spec& spec : OddSpecs()) Check(&MakeTiledDense, spec);
}

TEST_CASE("A dense layer over sgemm computes what plain loops compute",
          "[models]") {
  for (const Spec& spec : OddSpecs()) Check(&MakeSgemmDense, spec);
}

TEST_CASE("A dense layer over bf16 computes what plain loops compute",
          "[models]") {
  if (!CheckPrecision(Precision::kBf16, Device()).ok()) {
    CHECK_FALSE(MakeBf16Dense({3, 4, 5}).ok());
    return;
  }
  for (const Spec& spec : OddSpecs(Precision::kBf16)) Check(&MakeBf16, spec);
}

// Keeps what it is handed.
class Keeper final : public GradientListener {
 public:
  explicit Keeper(int64_t size) : gradient(NaNs(size)) {}
  void Take(int64_t offset, const Flat& range) override {
    for (int64_t i = 0; i < range.size(); ++i) {
      is_twice = is_twice || !std::isnan(gradient[offset + i]);
      gradient[offset + i] = range[i];
    }
  }
  absl::Span<float* const> touches() const override { return touched_; }
  Flat gradient;
  bool is_twice = false;

 private:
  std::vector<float*> touched_ = {gradient.data()};
};

// What becomes of a sink that holds `before`, by the kernel's own Backward.
void CheckSink(MakeDense make, int64_t batch, float scale, float beta,
               bool listens) {
  INFO("batch " << batch << ", scale " << scale << ", beta " << beta
                << ", listens " << listens);
  constexpr int64_t kPlace = 5;  // of the weights, in what the sink has
  const Precision precision =
      make == &MakeBf16 ? Precision::kBf16 : Precision::kFp32;
  const Spec s = {batch, 1651, 29, false, precision};
  const Product expected(s);
  const auto kernel = make(s);
  Flat y(expected.dy.size()), db(s.outputs), dy = expected.dy.Clone();
  const int64_t size = kPlace + expected.w.size();
  Flat into = beta == 0 ? NaNs(size) : Draw(size, 5);
  std::vector<double> wanted = expected.dw;
  for (size_t i = 0; i < wanted.size(); ++i) {
    wanted[i] *= double{scale};
    if (beta != 0) {
      wanted[i] +=
          double{beta} * double{into[kPlace + static_cast<int64_t>(i)]};
    }
  }
  Keeper keeper(into.size());
  GradientSink sink = {into, scale, beta, listens ? &keeper : nullptr};
  kernel->Forward(expected.x.data(), expected.w.data(), expected.b.data(),
                  y.data());
  kernel->Backward(expected.x.data(), y.data(), expected.w.data(), dy.data(),
                   nullptr, {sink, kPlace}, {{db}, 0});
  CHECK(!keeper.is_twice);
  Flat& result = listens ? keeper.gradient : into;
  CHECK(Error(result.Slice(kPlace, expected.w.size()), wanted) <
        kDenseTolerance);
}

TEST_CASE("A dense layer scales and adds as its sink says, and hands on once",
          "[models]") {
  const MakeDense make = GENERATE(&MakeTiledDense, &MakeSgemmDense, &MakeBf16);
  if (make == &MakeBf16 && !CheckPrecision(Precision::kBf16, Device()).ok())
    return;
  const int threads = GENERATE(1, 2);
  INFO(threads << " threads");
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  for (const int64_t batch : {3, 70, 261}) {
    for (const bool listens : {false, true}) {
      CheckSink(make, batch, 1, 0, listens);
      CheckSink(make, batch, -0.25f, 1, listens);
      CheckSink(make, batch, 2, 0.5f, listens);
    }
  }
  omp_set_num_threads(before);
}

}  // namespace
}  // namespace monsoon
