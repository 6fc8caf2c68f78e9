// SPDX-License-Identifier: Apache-2.0
// Kernels of the device beside those of the processor, on the same random
// numbers. Where both do the same operations in the same order, the results are
// the same bits; elsewhere a GPU sums in another order, and multiplies and adds
// in one rounding: kUnit is what one rounding of a number near 1 may change.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "models/kernels/add.h"
#include "models/kernels/average_pool.h"
#include "models/kernels/batch_norm.h"
#include "models/kernels/concat.h"
#include "models/kernels/dropout.h"
#include "models/kernels/max_pool.h"
#include "models/kernels/plain_order.h"
#include "models/kernels/relu.h"
#include "models/kernels/softmax.h"
#include "models/kernels/softmax_cross_entropy.h"
#include "models/kernels/upsample.h"
#include "tests/models/on_device.h"

namespace monsoon {
namespace {

using Floats = std::vector<float>;

constexpr double kUnit = 6e-8;  // 2^-24

// Activations on both devices: plain on the processor, in blocks on the other.
struct Problem {
  int64_t batch;
  Shape shape;
  int64_t block;

  int64_t size() const { return batch * shape.size(); }
  std::string name() const {
    return absl::StrCat(batch, " of ", shape.ToString(), " in blocks of ",
                        block);
  }
  Problem WithImages(int64_t height, int64_t width) const {
    return {batch, {shape.channels, height, width}, block};
  }
  // Between plain order and blocks.
  Floats Reordered(const Floats& values, bool to_blocks) const {
    const int64_t space = shape.height * shape.width;
    Floats result(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const int64_t plane = int64_t(i) / space, s = int64_t(i) % space;
      const int64_t at = (plane / block * space + s) * block + plane % block;
      if (to_blocks) {
        result[size_t(at)] = values[i];
      } else {
        result[i] = values[size_t(at)];
      }
    }
    return result;
  }
  Floats Blocks(const Floats& plain) const { return Reordered(plain, true); }
  Floats Plain(const Floats& blocks) const { return Reordered(blocks, false); }
};

const std::vector<Problem>& Problems() {
  static const std::vector<Problem> problems = {
      {1, {1, 3, 3}, 1},  {3, {7, 5, 6}, 1},   {3, {7, 5, 6}, 7},
      {2, {24, 7, 9}, 8}, {5, {16, 9, 4}, 16}, {2, {6, 31, 33}, 6},
      {2, {3, 64, 33}, 1}};
  return problems;
}

Floats Random1(int64_t size, uint64_t stream) {
  Random random({21, stream});
  Floats values(static_cast<size_t>(size));
  for (float& v : values) v = random.Uniform(-1, 1);
  return values;
}

// The largest difference; a NaN is one, unless both are.
double Worst(const Floats& found, const Floats& expected) {
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(found[i]) && std::isnan(expected[i])) continue;
    const double difference = std::abs(double(found[i]) - double(expected[i]));
    worst = std::isnan(difference) ? HUGE_VAL : std::max(worst, difference);
  }
  return worst;
}

template <typename Kernel>
std::unique_ptr<Kernel> Make(const typename Kernel::Spec& spec,
                             const Device& device = TestDevice()) {
  auto kernel = MakeKernel<Kernel>(device, spec);
  REQUIRE(kernel.ok());
  return *std::move(kernel);
}

// Forward(x, y) and Backward(dy, dx) on both devices, from X as in `in` to Y as
// in `out`. Backward runs twice: the second finds what the first left.
template <typename Kernel, typename SpecOf>
void Compare(const Problem& in, const Problem& out, SpecOf spec,
             const Floats& x, double tolerance, double gradient_tolerance) {
  INFO(in.name());
  const auto cpu = Make<Kernel>(spec(int64_t{1}), Device());
  const auto gpu = Make<Kernel>(spec(in.block));
  Floats y(size_t(out.size())), dx(size_t(in.size()));
  const Floats dy = Random1(out.size(), 2);
  cpu->Forward(x.data(), y.data());
  cpu->Backward(dy.data(), dx.data());
  OnDevice<float> there_x(in.Blocks(x)), there_dy(out.Blocks(dy));
  OnDevice<float> there_y(Floats(y.size(), NAN));
  OnDevice<float> there_dx(Floats(dx.size(), NAN));
  gpu->Forward(there_x.data(), there_y.data());
  CHECK(Worst(out.Plain(there_y.Get()), y) <= tolerance);
  for (int i = 0; i < 2; ++i) {
    gpu->Backward(there_dy.data(), there_dx.data());
    CHECK(Worst(in.Plain(there_dx.Get()), dx) <= gradient_tolerance);
  }
}

TEST_CASE("Max pooling is the same on both devices", "[cuda]") {
  for (const Problem& p : Problems()) {
    for (const int64_t size : {1, 2, 3}) {
      Floats x = Random1(p.size(), 1);
      // Ties, and now and then a NaN.
      for (float& v : x) v = v > 0.999f ? NAN : std::round(v * 4) / 4;
      Compare<MaxPoolKernel>(
          p, p.WithImages(p.shape.height / size, p.shape.width / size),
          [&](int64_t block) {
            return MaxPoolKernel::Spec{p.batch, p.shape, block, size};
          },
          x, 0, 0);
    }
  }
}

TEST_CASE("Average pooling is the same on both devices", "[cuda]") {
  for (const Problem& p : Problems()) {
    struct Window {
      int64_t height, width;
    };
    for (const auto& [height, width] :
         {Window{1, 1}, {2, 2}, {3, 2}, {p.shape.height, p.shape.width}}) {
      // Of more than 32 numbers the order of summation differs: sums of n
      // numbers below 1 stray by n^2 kUnit / 2 at most, means by n kUnit / 2,
      // on either side.
      const double count = double(height * width);
      Compare<AveragePoolKernel>(
          p, p.WithImages(p.shape.height / height, p.shape.width / width),
          [&, h = height, w = width](int64_t block) {
            return AveragePoolKernel::Spec{p.batch, p.shape, block, h, w};
          },
          Random1(p.size(), 1), count > 32 ? count * kUnit : 0, 0);
    }
  }
}

TEST_CASE("Upsampling is the same on both devices", "[cuda]") {
  for (const Problem& p : Problems()) {
    for (const int64_t scale : {1, 2, 3}) {
      for (const bool bilinear : {false, true}) {
        // Forward, four products below 1 that sum to less than 1; backward, at
        // most 4 scale^2 products, which sum to at most scale^2 (edges: twice).
        const double most = 2 * double(scale * scale);
        Compare<UpsampleKernel>(
            p, p.WithImages(p.shape.height * scale, p.shape.width * scale),
            [&](int64_t block) {
              return UpsampleKernel::Spec{p.batch, p.shape, block, scale,
                                          bilinear};
            },
            Random1(p.size(), 1), bilinear ? 4 * kUnit : 0,
            scale == 1 ? 0 : 4 * double(scale * scale) * most * kUnit);
      }
    }
  }
}

TEST_CASE("Plain order is the same on both devices", "[cuda]") {
  for (const Problem& p : Problems()) {
    const PlainOrderKernel::Spec spec{p.batch, p.shape, p.block};
    const auto kernel = Make<PlainOrderKernel>(spec);
    const Floats plain = Random1(p.size(), 1);
    OnDevice<float> blocks(p.Blocks(plain)), y(plain.size()), dx(plain.size());
    kernel->Forward(blocks.data(), y.data());
    kernel->Backward(y.data(), dx.data());
    CHECK(y.Get() == plain);
    CHECK(dx.Get() == blocks.Get());
  }
}

TEST_CASE("Add is the same on both devices, in place as well", "[cuda]") {
  for (const Problem& p : Problems()) {
    for (const int64_t b_block : {p.block, int64_t{1}, p.shape.channels}) {
      const Problem q{p.batch, p.shape, b_block};
      const auto kernel = Make<AddKernel>({p.batch, p.shape, p.block, b_block});
      const Floats a = Random1(p.size(), 1), b = Random1(p.size(), 2);
      Floats sum(a.size());
      for (size_t i = 0; i < a.size(); ++i) sum[i] = a[i] + b[i];
      OnDevice<float> y(p.Blocks(a)), there_b(q.Blocks(b));
      OnDevice<float> da(a.size()), db(a.size()), other(a.size());
      kernel->Forward(y.data(), there_b.data(), y.data());
      CHECK(p.Plain(y.Get()) == sum);
      kernel->Backward(y.data(), da.data(), db.data());
      CHECK(p.Plain(da.Get()) == sum);
      CHECK(q.Plain(db.Get()) == sum);
      kernel->Backward(y.data(), nullptr, nullptr);
      kernel->Backward(y.data(), y.data(), nullptr);
      CHECK(p.Plain(y.Get()) == sum);
      kernel->Backward(y.data(), y.data(), other.data());
      CHECK(q.Plain(other.Get()) == sum);
    }
  }
}

TEST_CASE("Dropout and ReLU are the same on both devices", "[cuda]") {
  for (const int64_t size : {1, 255, 256, 257, 100003}) {
    const Floats x = Random1(size, 1);
    Floats expected(x.size());
    OnDevice<float> there(x), y(x.size());
    for (const double rate : {0.0, 0.1, 0.5, 0.9999}) {
      const uint64_t key = 0x9e3779b97f4a7c15u + uint64_t(size);
      Make<DropoutKernel>({size, rate}, Device())
          ->Apply(key, x.data(), expected.data());
      Make<DropoutKernel>({size, rate})->Apply(key, there.data(), y.data());
      CHECK(y.Get() == expected);
    }
    Make<ReluKernel>({size}, Device())->Forward(x.data(), expected.data());
    Make<ReluKernel>({size})->Forward(there.data(), y.data());
    CHECK(y.Get() == expected);
  }
}

// Logits from -range to range.
void CompareSoftmax(const Problem& p, float range) {
  const auto cpu = Make<SoftmaxKernel>({p.batch, p.shape, 1}, Device());
  const auto gpu = Make<SoftmaxKernel>({p.batch, p.shape, p.block});
  Floats x = Random1(p.size(), 1);
  for (float& v : x) v *= range;
  x[0] = -std::numeric_limits<float>::infinity();
  x[size_t(p.size()) - 1] = NAN;
  Floats y(x.size()), dx(x.size());
  const Floats dy = Random1(p.size(), 2);
  cpu->Forward(x.data(), y.data());
  cpu->Backward(y.data(), dy.data(), dx.data());
  OnDevice<float> there_y(p.Blocks(x)), there_dx(p.Blocks(dy));
  gpu->Forward(there_y.data(), there_y.data());
  gpu->Backward(there_y.data(), there_dx.data(), there_dx.data());
  // An exponential is right to 2 units on either device; sums of C powers
  // stray by C / 2 units, and so do those of y dy below 1.
  const double tolerance = (double(p.shape.channels) + 8) * kUnit;
  CHECK(Worst(p.Plain(there_y.Get()), y) <= tolerance);
  CHECK(Worst(p.Plain(there_dx.Get()), dx) <= 3 * tolerance);
}

TEST_CASE("Softmax is the same on both devices", "[cuda]") {
  std::vector<Problem> problems = Problems();
  problems.push_back({3, {1000, 1, 1}, 1});
  problems.push_back({2, {65, 3, 5}, 65});
  problems.push_back({2, {40, 3, 5}, 8});
  for (const Problem& p : problems) {
    INFO(p.name());
    CompareSoftmax(p, 10);
    CompareSoftmax(p, 1000);  // exponentials would overflow
  }
}

TEST_CASE("Concat is the same on both devices", "[cuda]") {
  const int64_t batch = 3, height = 3, width = 7;
  using Parts = std::vector<ConcatKernel::Part>;
  for (const Parts& parts :
       {Parts{{3, 1}, {5, 1}}, Parts{{8, 8}, {16, 8}}, Parts{{6, 6}, {3, 3}},
        Parts{{6, 3}, {1, 1}, {16, 16}}}) {
    ConcatKernel::Spec spec{batch, height * width, parts}, plain = spec;
    for (ConcatKernel::Part& part : plain.parts) part.block = 1;
    std::vector<Floats> x, dx;
    std::vector<std::unique_ptr<OnDevice<float>>> there_x, there_dx;
    std::vector<const float*> from, there_from;
    std::vector<float*> to, there_to;
    int64_t channels = 0;
    for (const auto& [own, block] : parts) {
      const Problem p{batch, {own, height, width}, block};
      x.push_back(Random1(p.size(), uint64_t(own)));
      dx.push_back(x.back());
      there_x.push_back(std::make_unique<OnDevice<float>>(p.Blocks(x.back())));
      there_dx.push_back(std::make_unique<OnDevice<float>>(x.back().size()));
      there_from.push_back(there_x.back()->data());
      there_to.push_back(there_dx.back()->data());
      channels += own;
    }
    for (size_t i = 0; i < x.size(); ++i) {
      from.push_back(x[i].data());
      to.push_back(dx[i].data());
    }
    const auto cpu = Make<ConcatKernel>(plain, Device());
    const auto gpu = Make<ConcatKernel>(spec);
    const Problem out{batch, {channels, height, width}, gpu->output_block()};
    Floats y(size_t(out.size()));
    OnDevice<float> there_y(y.size());
    cpu->Forward(from, y.data());
    gpu->Forward(there_from, there_y.data());
    CHECK(out.Plain(there_y.Get()) == y);
    gpu->Backward(there_y.data(), there_to);
    there_to[0] = nullptr;  // nothing is written there
    gpu->Backward(there_y.data(), there_to);
    for (size_t i = 0; i < x.size(); ++i) {
      CHECK(there_dx[i]->Get() == there_x[i]->Get());
    }
  }
}

TEST_CASE("Losses are the same on both devices", "[cuda]") {
  std::vector<Problem> problems = Problems();
  problems.push_back({513, {10, 1, 1}, 1});
  problems.push_back({300, {10, 1, 1}, 10});
  problems.push_back({2, {2, 512, 263}, 2});  // pixels in 1024 parts
  for (const Problem& p : problems) {
    for (const double smoothing : {0.0, 0.2}) {
      INFO(p.name());
      Floats z = Random1(p.size(), 1);
      for (float& v : z) v = std::round(v * 8);
      std::vector<int32_t> labels;
      Random random({4});
      while (int64_t(labels.size()) < p.size() / p.shape.channels) {
        labels.push_back(int32_t(random.Below(uint64_t(p.shape.channels))));
      }
      Floats dz(z.size());
      Score expected;
      Make<SoftmaxCrossEntropyKernel>({p.batch, p.shape, 1}, Device())
          ->Run(z.data(), labels.data(), smoothing, dz.data(), &expected);
      OnDevice<float> there_z(p.Blocks(z)), there_dz(z.size());
      OnDevice<int32_t> there_labels(labels);
      OnDevice<Score> score(1);
      const auto kernel =
          Make<SoftmaxCrossEntropyKernel>({p.batch, p.shape, p.block});
      for (float* const gradient : {there_dz.data(), (float*)nullptr}) {
        kernel->Run(there_z.data(), there_labels.data(), smoothing, gradient,
                    score.data());
        const Score found = score.Get()[0];
        // Exponentials are right to 2 units, the rest is in double precision.
        CHECK(found.loss_sum ==
              Approx(expected.loss_sum).epsilon(4 * kUnit).margin(1e-12));
        CHECK(found.correct == expected.correct);
      }
      // Of at most 1 / pixels, with 2 units of a power and four roundings.
      CHECK(Worst(p.Plain(there_dz.Get()), dz) <=
            8 * kUnit / double(labels.size()));
    }
  }
}

// Numbers of a batch normalisation, with a sink for the gradients.
struct Statistics {
  Floats scale, shift, mean, variance;
  explicit Statistics(int64_t channels)
      : scale(Random1(channels, 5)),
        shift(Random1(channels, 6)),
        mean(Random1(channels, 7)),
        variance(size_t(channels), 2) {}
};

struct Normalised {
  Floats trained, evaluated, dx, dscale, dshift, mean, variance;
};

Normalised Normalise(const Device& device, const Problem& p, const Floats& x,
                     const Floats& dy) {
  const auto kernel =
      Make<BatchNormKernel>({p.batch, p.shape, p.block, 0.1f, 1e-5f}, device);
  const Statistics at(p.shape.channels);
  const size_t channels = at.scale.size();
  OnDevice<float> there_x(p.Blocks(x), device), there_dy(p.Blocks(dy), device);
  OnDevice<float> y(x.size(), device), dx(x.size(), device);
  OnDevice<float> evaluated(x.size(), device);
  OnDevice<float> scale(at.scale, device), shift(at.shift, device);
  OnDevice<float> mean(at.mean, device), variance(at.variance, device);
  OnDevice<float> gradients(2 * channels, device);
  kernel->Train(there_x.data(), {scale.data(), shift.data()},
                {mean.data(), variance.data()}, y.data());
  Flat into = Flat::View(gradients.data(), int64_t(2 * channels), device.queue);
  const GradientSink sink{into};
  kernel->Backward(there_x.data(), there_dy.data(), scale.data(), dx.data(),
                   {sink, 0}, {sink, int64_t(channels)});
  kernel->Evaluate(there_x.data(), {scale.data(), shift.data()},
                   {mean.data(), variance.data()}, evaluated.data());
  const Floats both = gradients.Get();
  return {.trained = p.Plain(y.Get()),
          .evaluated = p.Plain(evaluated.Get()),
          .dx = p.Plain(dx.Get()),
          .dscale = Floats(both.begin(), both.begin() + int64_t(channels)),
          .dshift = Floats(both.begin() + int64_t(channels), both.end()),
          .mean = mean.Get(),
          .variance = variance.Get()};
}

TEST_CASE("Batch normalisation is the same on both devices", "[cuda]") {
  std::vector<Problem> problems = Problems();
  problems.push_back({37, {3, 33, 31}, 1});  // parts, of which one is shorter
  problems.push_back({37, {3, 33, 31}, 3});
  problems.push_back({2001, {5, 1, 1}, 1});
  for (const Problem& p : problems) {
    INFO(p.name());
    Floats x = Random1(p.size(), 1);
    for (float& v : x) v += 3;
    const Floats dy = Random1(p.size(), 2);
    const Problem plain{p.batch, p.shape, 1};
    const Normalised cpu = Normalise(Device(), plain, x, dy);
    const Normalised gpu = Normalise(TestDevice(), p, x, dy);
    // The processor sums up to 129 numbers below 4 in a row, and each image's
    // sum into the next: it strays by 4 (129 + 37) kUnit = 4e-5 at most (by
    // chance by a tenth), which a deviation of 0.58 and a scale of 1 double.
    CHECK(Worst(gpu.trained, cpu.trained) < 8e-5);
    CHECK(Worst(gpu.evaluated, cpu.evaluated) < 8e-5);
    CHECK(Worst(gpu.mean, cpu.mean) < 8e-5);
    CHECK(Worst(gpu.variance, cpu.variance) < 8e-5);
    CHECK(Worst(gpu.dx, cpu.dx) < 8e-5 / 0.58);
    // Sums over all values of a channel, of numbers about 1.
    const double values = double(p.size() / p.shape.channels);
    CHECK(Worst(gpu.dshift, cpu.dshift) < 166 * kUnit * values);
    CHECK(Worst(gpu.dscale, cpu.dscale) < 3 * 166 * kUnit * values);
  }
}

TEST_CASE("Batch normalisation keeps the variance of distant values",
          "[cuda]") {
  // One value far from the others comes first: what is left of it is exact to
  // the number of values in a row. Others lie 1e4 deviations from zero.
  for (const int64_t block : {1, 3}) {
    const Problem p{4, {3, 40, 41}, block};
    Floats x = Random1(p.size(), 1);
    for (float& v : x) v = 1e4f + std::round(v * 8) / 8;
    for (size_t c = 0; c < 3; ++c) x[c * 40 * 41] = 0;
    const Normalised gpu = Normalise(TestDevice(), p, x, x);
    for (size_t c = 0; c < 3; ++c) {
      double mean = 0, squares = 0;
      const auto each = [&](const auto& fn) {
        for (size_t n = 0; n < 4; ++n) {
          for (size_t s = 0; s < 40 * 41; ++s) {
            fn(double(x[(n * 3 + c) * 40 * 41 + s]));
          }
        }
      };
      each([&](double v) { mean += v / (4 * 40 * 41); });
      each([&](double v) { squares += (v - mean) * (v - mean); });
      const double unbiased = squares / (4 * 40 * 41 - 1);
      // running += 0.1 (own - running), which began at 2.
      CHECK(gpu.variance[c] == Approx(0.9 * 2 + 0.1 * unbiased).epsilon(1e-5));
    }
  }
}

}  // namespace
}  // namespace monsoon
