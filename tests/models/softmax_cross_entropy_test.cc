// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/softmax_cross_entropy.h"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "base/flat.h"

namespace monsoon {
namespace {

Score Run(const std::vector<float>& z, const std::vector<int32_t>& labels,
          float* dz) {
  const int64_t batch = labels.size();
  const int64_t classes = z.size() / batch;
  auto kernel = MakeKernel<SoftmaxCrossEntropyKernel>(
      "cpu", {.batch = batch, .classes = classes});
  REQUIRE(kernel.ok());
  return (*kernel)->Run(z.data(), labels.data(), dz);
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
