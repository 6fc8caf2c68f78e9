// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/softmax_cross_entropy.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "base/flat.h"
#include "base/random.h"
#include "tests/models/on_device.h"

namespace monsoon {
namespace {

// Writes the gradient to dz, if that is not null.
Score Run(const SoftmaxCrossEntropyKernel::Spec& spec,
          const std::vector<float>& z, const std::vector<int32_t>& labels,
          double smoothing, float* dz) {
  auto kernel = MakeKernel<SoftmaxCrossEntropyKernel>(TestDevice(), spec);
  REQUIRE(kernel.ok());
  OnDevice<float> logits(z), gradient(z.size());
  OnDevice<int32_t> there(labels);
  OnDevice<Score> score(1);
  (*kernel)->Run(logits.data(), there.data(), smoothing,
                 dz == nullptr ? nullptr : gradient.data(), score.data());
  const std::vector<float> found = gradient.Get();
  if (dz != nullptr) std::copy(found.begin(), found.end(), dz);
  return score.Get()[0];
}

// Of vectors.
Score Run(const std::vector<float>& z, const std::vector<int32_t>& labels,
          float* dz) {
  const int64_t batch = labels.size();
  const int64_t classes = z.size() / batch;
  return Run({.batch = batch, .logits = {.channels = classes}}, z, labels,
             /*smoothing=*/0, dz);
}

TEST_CASE("Softmax loss and gradient are those computed by hand", "[models]") {
  // softmax([0, ln 3]) = [1/4, 3/4]; softmax([5, 5]) = [1/2, 1/2]
  std::array<float, 4> dz;
  const Score score = Run({0, std::log(3.0f), 5, 5}, {0, 1}, dz.data());
  CHECK(score.loss_sum == Approx(std::log(4.0) + std::log(2.0)).epsilon(1e-6));
  CHECK(score.correct == 0);  // of equals the first wins
  const std::array<double, 4> expected = {-0.375, 0.375, 0.25, -0.25};
  for (int i = 0; i < 4; ++i) CHECK(dz[i] == Approx(expected[i]).epsilon(1e-5));
}

TEST_CASE("Softmax gradients are the central differences of the mean loss",
          "[models]") {
  std::vector<float> z = {0.3f, -1, 2, 0.5f, 0, 0.1f, -3, 1, 1.5f};
  const std::vector<int32_t> labels = {2, 0, 1};
  std::vector<float> dz(z.size());
  Run(z, labels, dz.data());
  for (size_t i = 0; i < z.size(); ++i) {
    // Loss in double: truncation 1e-2^2 / 6 and float32 exponentials of 1e-7
    // over the difference leave 2e-5.
    const float kept = z[i];
    z[i] = kept + 0.01f;
    const double above = Run(z, labels, nullptr).loss_sum;
    z[i] = kept - 0.01f;
    const double below = Run(z, labels, nullptr).loss_sum;
    z[i] = kept;
    CHECK(dz[i] == Approx((above - below) / 0.02 / 3).margin(5e-5));
  }
}

// A batch of images of logits in an order of channels, and what it should give.
struct Pixels {
  static constexpr int64_t kBatch = 3, kClasses = 16, kHeight = 3, kWidth = 7;
  static constexpr int64_t kSpace = kHeight * kWidth;

  explicit Pixels(int64_t order) : block(order), z(kBatch * kClasses * kSpace) {
    Random random({9});
    for (int64_t n = 0; n < kBatch; ++n) {
      for (int64_t s = 0; s < kSpace; ++s) {
        labels.push_back(static_cast<int32_t>(random.Below(kClasses)));
        for (int64_t k = 0; k < kClasses; ++k) {
          z[At(n, k, s)] = random.Uniform(-3, 3);
        }
      }
    }
  }
  size_t At(int64_t n, int64_t k, int64_t s) const {
    return ((n * (kClasses / block) + k / block) * kSpace + s) * block +
           k % block;
  }
  Score Run(double smoothing, float* dz) const {
    return monsoon::Run({.batch = kBatch,
                         .logits = {kClasses, kHeight, kWidth},
                         .block = block},
                        z, labels, smoothing, dz);
  }

  int64_t block;
  std::vector<float> z;
  std::vector<int32_t> labels;
};

TEST_CASE("Every pixel has a loss, whatever the order of channels",
          "[models]") {
  for (const int64_t block : {1, 8, 16}) {
    for (const double smoothing : {0.0, 0.3}) {
      const Pixels pixels(block);
      std::vector<float> dz(pixels.z.size());
      const Score score = pixels.Run(smoothing, dz.data());
      double loss = 0, worst = 0;
      int64_t correct = 0;
      for (int64_t i = 0; i < Pixels::kBatch * Pixels::kSpace; ++i) {
        const int64_t n = i / Pixels::kSpace, s = i % Pixels::kSpace;
        const int32_t label = pixels.labels[size_t(i)];
        double sum = 0;
        int64_t best = 0;
        for (int64_t k = 0; k < Pixels::kClasses; ++k) {
          sum += std::exp(double(pixels.z[pixels.At(n, k, s)]));
          if (pixels.z[pixels.At(n, k, s)] > pixels.z[pixels.At(n, best, s)]) {
            best = k;
          }
        }
        if (best == label) ++correct;
        for (int64_t k = 0; k < Pixels::kClasses; ++k) {
          const double p = std::exp(double(pixels.z[pixels.At(n, k, s)])) / sum;
          const double target = smoothing / double(Pixels::kClasses) +
                                (k == label ? 1 - smoothing : 0);
          loss -= target * std::log(p);
          const double expected =
              (p - target) / double(Pixels::kBatch * Pixels::kSpace);
          worst = std::max(worst,
                           std::abs(double(dz[pixels.At(n, k, s)]) - expected));
        }
      }
      CHECK(score.loss_sum == Approx(loss).epsilon(1e-6));
      CHECK(score.correct == correct);
      CHECK(worst < 1e-8);
    }
  }
}

TEST_CASE("A smoothed loss is least where the targets are", "[models]") {
  // softmax = targets: the gradient vanishes and the loss is their entropy.
  const double on = 0.9 + 0.1 / 4, off = 0.1 / 4;
  std::vector<float> z(4, static_cast<float>(std::log(off)));
  z[2] = static_cast<float>(std::log(on));
  std::array<float, 4> dz;
  const Score score =
      Run({.batch = 1, .logits = {.channels = 4}}, z, {2}, 0.1, dz.data());
  CHECK(score.loss_sum ==
        Approx(-on * std::log(on) - 3 * off * std::log(off)).epsilon(1e-6));
  for (const float g : dz) CHECK(g == Approx(0).margin(1e-7));
}

TEST_CASE("Softmax survives logits that overflow an exponential", "[models]") {
  std::array<float, 3> dz;
  const Score score = Run({1000, -1000, 999}, {1}, dz.data());
  CHECK(score.loss_sum == Approx(2000 + std::log1p(std::exp(-1.0))));
  CHECK(AllFinite(dz));
}

TEST_CASE("An example with a NaN is not correct", "[models]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (int32_t label : {0, 1}) {
    for (const auto& z : {std::vector<float>{nan, 0}, {0, nan}}) {
      const Score score = Run(z, {label}, nullptr);
      CHECK(score.correct == 0);
      CHECK(std::isnan(score.loss_sum));
    }
  }
}

}  // namespace
}  // namespace monsoon
