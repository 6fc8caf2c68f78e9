// SPDX-License-Identifier: Apache-2.0
// Dense layers on a device against plain loops in double precision.
#include "models/kernels/dense.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

#include "models/layers/layers.h"
#include "tests/models/dense_product.h"
#include "tests/models/layer_bench.h"
#include "tests/models/layer_cases.h"
#include "tests/models/numbers.h"
#include "tests/models/on_device.h"

namespace monsoon {
namespace {

using Spec = DenseKernel::Spec;

Flat There(const Flat& here) {
  Flat there(here.size(), *TestDevice().queue);
  there.CopyFrom(here);
  return there;
}

// What the plain loops are given: for fp32 any numbers, else such of eight
// bits, which every precision has exactly. The tolerance then is float32's for
// all.
Product Expected(Spec s) {
  if (s.precision != Precision::kFp32) s.precision = Precision::kBf16;
  return Product(s);
}

// As a device has them: float, or what bfloat16 makes of them.
template <typename Number>
OnDevice<Number> NumbersThere(const Flat& here) {
  std::vector<Number> numbers;
  for (const float value : here.span()) numbers.emplace_back(value);
  return OnDevice<Number>(numbers);
}

template <typename Number>
Flat NumbersHere(const OnDevice<Number>& there) {
  const std::vector<Number> numbers = there.Get();
  Flat here(static_cast<int64_t>(numbers.size()));
  std::transform(numbers.begin(), numbers.end(), here.span().begin(),
                 [](Number value) { return static_cast<float>(value); });
  return here;
}

// Whether numbers are off by one rounding to bfloat16, and by `other` in all.
bool AreRounded(const Flat& found, const std::vector<double>& expected,
                double other) {
  for (int64_t i = 0; i < found.size(); ++i) {
    const double e = expected[static_cast<size_t>(i)];
    const double bound = 0x1p-8 * std::abs(e) + other;
    if (!(std::abs(double{found[i]} - e) <= bound)) return false;
  }
  return true;
}

// Operands have eight bits, so that sums are float32's: what is bfloat16 is
// rounded where it is written. So is the bias before it is added to such.
template <typename Out>
void CheckBf16(const Spec& s) {
  INFO("batch " << s.batch << ", " << s.inputs << " to " << s.outputs
                << ", relu " << s.relu << ", writes "
                << (std::is_same_v<Out, Bf16> ? "bfloat16" : "float32"));
  const bool writes_bf16 = std::is_same_v<Out, Bf16>;
  const Product expected(s, /*rounds_bias=*/writes_bf16);
  const auto kernel = *MakeKernel<DenseKernelOf<Bf16, Out>>(TestDevice(), s);
  auto x = NumbersThere<Bf16>(expected.x);
  auto y = NumbersThere<Out>(NaNs(expected.dy.size()));
  auto dx = NumbersThere<Bf16>(NaNs(expected.x.size()));
  auto dy = NumbersThere<Out>(expected.dy);
  const Flat w = There(expected.w), b = There(Draw(s.outputs, 3));
  Flat dw = There(NaNs(w.size())), db = There(NaNs(s.outputs));
  kernel->Forward(x.data(), w.data(), b.data(), y.data());
  kernel->Backward(x.data(), y.data(), w.data(), dy.data(), dx.data(),
                   {{dw}, 0}, {{db}, 0});
  const double sums = kDenseTolerance * static_cast<double>(s.inputs + s.batch);
  if (writes_bf16) {
    CHECK(AreRounded(NumbersHere(y), expected.y, sums));
  } else {
    CHECK(Error(NumbersHere(y), expected.y, /*least=*/1) < kDenseTolerance);
  }
  CHECK(AreRounded(NumbersHere(dx), expected.dx, sums));
  CHECK(Error(dw.ToHost(), expected.dw) < kDenseTolerance);
  CHECK(Error(db.ToHost(), expected.db) < kDenseTolerance);
  REQUIRE(TestDevice().queue->status().ok());
}

void Check(const Spec& s) {
  INFO("batch " << s.batch << ", " << s.inputs << " to " << s.outputs
                << ", relu " << s.relu);
  const Product expected = Expected(s);
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

TEST_CASE("A dense layer on a device computes what plain loops do", "[cuda]") {
  for (const Spec& spec : OddSpecs()) Check(spec);
}

TEST_CASE("A dense layer of tf32 on a device computes what plain loops do",
          "[cuda]") {
  for (const Spec& spec : OddSpecs(Precision::kTf32)) Check(spec);
}

TEST_CASE("A dense layer of bf16 on a device computes what plain loops do",
          "[cuda]") {
  for (const Spec& spec : OddSpecs(Precision::kBf16)) Check(spec);
}

TEST_CASE("A dense layer of bfloat16 activations is that of plain loops",
          "[cuda]") {
  for (const Spec& spec : OddSpecs(Precision::kBf16)) {
    CheckBf16<Bf16>(spec);
    CheckBf16<float>(spec);
  }
  // Rows that tensor cores take as they lie, on either side and on both.
  for (const auto& [inputs, outputs] : {std::pair{16, 24}, {8, 5}, {5, 8}}) {
    for (const bool relu : {false, true}) {
      const Spec spec = {33, inputs, outputs, relu, Precision::kBf16};
      CheckBf16<Bf16>(spec);
      CheckBf16<float>(spec);
    }
  }
}

// An operand is off by u of it at most: 2^-8 where eight bits are rounded to
// nearest, 2^-10 where eleven are kept however (GPUs cut the rest off). So a
// product is off by (2 u + u^2) |x w|, and float32 sums of n terms add
// n 2^-24 of their magnitude.
void CheckRounding(Precision precision, double u) {
  const Spec s = {.batch = 33, .inputs = 130, .outputs = 31};
  const Product expected(s);  // of any numbers
  Spec rounded = s;
  rounded.precision = precision;
  const auto kernel = *MakeKernel<DenseKernel>(TestDevice(), rounded);
  Flat there(expected.dy.size(), *TestDevice().queue);
  kernel->Forward(There(expected.x).data(), There(expected.w).data(),
                  There(expected.b).data(), there.data());
  const Flat y = there.ToHost();
  double worst = 0;
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t n = i / s.outputs, o = i % s.outputs;
    double magnitude = std::abs(double{expected.b[o]});
    for (int64_t k = 0; k < s.inputs; ++k) {
      magnitude += std::abs(double{expected.x[n * s.inputs + k]} *
                            double{expected.w[o * s.inputs + k]});
    }
    const double bound =
        magnitude * (2 * u + u * u + static_cast<double>(s.inputs) * 0x1p-24);
    const double error =
        std::abs(double{y[i]} - expected.y[static_cast<size_t>(i)]);
    worst = std::max(worst, error / bound);
  }
  CHECK(worst <= 1);
}

TEST_CASE("A precision rounds operands, and nothing else", "[cuda]") {
  CheckRounding(Precision::kFp32, 0);
  CheckRounding(Precision::kTf32, 0x1p-10);
  CheckRounding(Precision::kBf16, 0x1p-8);
  // 1 + 2^-7 has eight bits, 1 + 2^-9 ten; the bias and the sum have all.
  const auto product = [](Precision precision, float value) {
    const auto kernel = *MakeKernel<DenseKernel>(
        TestDevice(),
        {.batch = 1, .inputs = 1, .outputs = 1, .precision = precision});
    Flat x(1), w(1), b(1);
    x[0] = value;
    w[0] = 1;
    b[0] = 0x1p-20f;
    Flat y = There(b);
    kernel->Forward(There(x).data(), There(w).data(), There(b).data(),
                    y.data());
    return y.ToHost()[0] - 0x1p-20f;
  };
  CHECK(product(Precision::kFp32, 1 + 0x1p-12f) == 1 + 0x1p-12f);
  CHECK(product(Precision::kTf32, 1 + 0x1p-10f) == 1 + 0x1p-10f);
  CHECK(product(Precision::kBf16, 1 + 0x1p-7f) == 1 + 0x1p-7f);
  CHECK(product(Precision::kBf16, 1 + 0x1p-9f) == 1);
}

// Numbers of a device that begin `off` floats behind what is well aligned.
struct Shifted {
  Shifted(const Flat& here, int64_t to)
      : off(to), there(to + here.size(), *TestDevice().queue) {
    there.Slice(off, here.size()).CopyFrom(here);
  }
  float* data() { return there.data() + off; }
  Flat Get() const {
    const Flat here = there.ToHost();
    return here.Slice(off, here.size() - off).Clone();
  }

  int64_t off;
  Flat there;
};

// In a model a layer's parameters lie where those before end.
TEST_CASE("Parameters and activations may lie at any float", "[cuda]") {
  const Precision precision =
      GENERATE(Precision::kFp32, Precision::kTf32, Precision::kBf16);
  const int64_t inputs = GENERATE(16, 18);
  Spec s = {.batch = 5, .inputs = inputs, .outputs = 8, .relu = true};
  s.precision = precision;
  const Product expected = Expected(s);
  for (const int64_t off : {0, 1, 2, 3, 4}) {
    INFO(off);
    const auto kernel = *MakeKernel<DenseKernel>(TestDevice(), s);
    // All differ.
    Shifted x(expected.x, off), w(expected.w, off + 1), b(expected.b, off + 2);
    Shifted y(NaNs(s.batch * s.outputs), off + 3), dy(expected.dy, off);
    Shifted dx(NaNs(s.batch * s.inputs), off + 1);
    Shifted dw(NaNs(s.outputs * s.inputs), off + 2);
    Shifted db(NaNs(s.outputs), off + 3);
    kernel->Forward(x.data(), w.data(), b.data(), y.data());
    kernel->Backward(x.data(), y.data(), w.data(), dy.data(), dx.data(),
                     {{dw.there}, dw.off}, {{db.there}, db.off});
    REQUIRE(TestDevice().queue->status().ok());
    CHECK(Error(y.Get(), expected.y, 1) < kDenseTolerance);
    CHECK(Error(dx.Get(), expected.dx) < kDenseTolerance);
    CHECK(Error(dw.Get(), expected.dw) < kDenseTolerance);
    CHECK(Error(db.Get(), expected.db) < kDenseTolerance);
  }
}

// Keeps what it is handed.
class Keeper final : public GradientListener {
 public:
  explicit Keeper(int64_t size) : gradient(NaNs(size)) {}
  void Take(int64_t offset, const Flat& range) override {
    const Flat here = range.ToHost();
    for (int64_t i = 0; i < here.size(); ++i) {
      is_twice = is_twice || !std::isnan(gradient[offset + i]);
      gradient[offset + i] = here[i];
    }
  }
  Flat gradient;
  bool is_twice = false;
};

// What becomes of a sink that holds the gradients of the weights, then of the
// biases.
void CheckSinks(Precision precision, int64_t batch, float scale, float beta,
                bool listens) {
  INFO("batch " << batch << ", scale " << scale << ", beta " << beta
                << ", listens " << listens);
  constexpr int64_t kPlace = 5;  // of the weights, in what the sink has
  const Spec s = {batch, 165, 29, true, precision};
  const Product expected = Expected(s);
  const auto kernel = *MakeKernel<DenseKernel>(TestDevice(), s);
  const int64_t biases = kPlace + expected.w.size();
  const int64_t size = biases + s.outputs;
  const Flat before = beta == 0 ? NaNs(size) : Draw(size, 5);
  std::vector<double> wanted = expected.dw;
  wanted.insert(wanted.end(), expected.db.begin(), expected.db.end());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const float kept = before[kPlace + static_cast<int64_t>(i)];
    wanted[i] *= double{scale};
    if (beta != 0) wanted[i] += double{beta} * double{kept};
  }
  Flat into = There(before), y = There(NaNs(expected.dy.size()));
  Flat dy = There(expected.dy);
  const Flat x = There(expected.x), w = There(expected.w),
             b = There(expected.b);
  Keeper keeper(size);
  const GradientSink sink = {into, scale, beta, listens ? &keeper : nullptr};
  kernel->Forward(x.data(), w.data(), b.data(), y.data());
  kernel->Backward(x.data(), y.data(), w.data(), dy.data(), nullptr,
                   {sink, kPlace}, {sink, biases});
  CHECK(!keeper.is_twice);
  Flat result = listens ? keeper.gradient.Clone() : into.ToHost();
  CHECK(Error(result.Slice(kPlace, size - kPlace), wanted) < kDenseTolerance);
  CHECK(std::isnan(before[0]) == std::isnan(into.ToHost()[0]));
}

TEST_CASE("A dense layer scales and adds as its sink says, and hands on once",
          "[cuda]") {
  const Precision precision =
      GENERATE(Precision::kFp32, Precision::kTf32, Precision::kBf16);
  for (const int64_t batch : {3, 130, 261}) {
    for (const bool listens : {false, true}) {
      CheckSinks(precision, batch, 1, 0, listens);
      CheckSinks(precision, batch, -0.25f, 1, listens);
      CheckSinks(precision, batch, 2, 0.5f, listens);
    }
  }
}

TEST_CASE("Dense layers on a device are those of other devices", "[cuda]") {
  std::vector<LayerCase> cases = DenseCases();
  cases.push_back(DenseCase("rows as they lie", 5, {16, 1, 1}, 8));
  for (LayerCase& test : cases) {
    CheckLayer(test);
    test.input_type = DataType::kBf16;
    CheckBf16Layer(test, {.y = {.times = 0}});
    test.output_type = DataType::kBf16;
    CheckBf16Layer(test);
  }
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
