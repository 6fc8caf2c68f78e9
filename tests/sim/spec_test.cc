// SPDX-License-Identifier: Apache-2.0
#include "sim/spec.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "sim/gradients.h"

namespace monsoon {
namespace {

template <typename Value>
void CheckRoundTrip(const std::string& text) {
  INFO(text);
  const auto parsed = Value::Parse(text);
  REQUIRE(parsed.ok());
  CHECK(parsed->Text() == text);
}

template <typename Value>
void CheckRefused(const std::string& text) {
  INFO(text);
  const auto parsed = Value::Parse(text);
  REQUIRE(absl::IsInvalidArgument(parsed.status()));
  CHECK(parsed.status().message().find("found \"" + text + "\"") == 0);
  CHECK(parsed.status().message().find("expected") != std::string::npos);
}

TEST_CASE("What a cluster is made of is read and written alike") {
  for (const char* text :
       {"20ms", "1.5s", "100us", "lognormal:20ms:0.5", "uniform:10ms:30ms"}) {
    CheckRoundTrip<StepTime>(text);
  }
  for (const char* text : {"10gbit:100us", "none:0s", "1.5gbit:2ms"}) {
    CheckRoundTrip<NetworkSpec>(text);
  }
  CheckRoundTrip<Stragglers>("0.01:10x");
  CheckRoundTrip<CrashRate>("0.001/epoch");
  for (const char* text : {"real", "quadratic", "quadratic:100000"}) {
    CheckRoundTrip<GradientKind>(text);
  }
  CHECK(Rate::Parse("2gbyte")->bytes_per_s == 2e9);
  CHECK(Rate::Parse("8kbit")->bytes_per_s == 1000);
  CHECK(*ParseTime("2min") == absl::Minutes(2));
}

TEST_CASE("What makes no sense is refused with what was found") {
  for (const char* text :
       {"", "20", "0ms", "-1ms", "ms", "20 ms!", "lognormal:20ms",
        "lognormal:20ms:-1", "lognormal:20ms:x", "uniform:30ms:10ms",
        "gaussian:20ms:1", "uniform:1ms:2ms:3ms", "1e30s", "nanms"}) {
    CheckRefused<StepTime>(text);
  }
  for (const char* text : {"10gbit", "0gbit:1ms", "10:1ms", "10gbit:1",
                           "-1gbit:1ms", "10gbit:1ms:2"}) {
    CheckRefused<NetworkSpec>(text);
  }
  for (const char* text : {"0.1", "2:10x", "0.1:0.5x", "-0.1:2x", "a:bx"}) {
    CheckRefused<Stragglers>(text);
  }
  for (const char* text : {"1.5/epoch", "-1/epoch", "x", "0.1/hour"}) {
    CheckRefused<CrashRate>(text);
  }
  for (const char* text : {"toy", "quadratic:0", "quadratic:x", "quadratics"}) {
    CheckRefused<GradientKind>(text);
  }
}

TEST_CASE("Step times have the median and the spread that they should") {
  Random random({1, 2});
  const StepTime step{.kind = StepTime::kLognormal,
                      .low = absl::Milliseconds(20),
                      .sigma = 0.5};
  const int n = 20'000;
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const double log =
        std::log(absl::ToDoubleSeconds(step.Draw(random)) / 0.02);
    sum += log;
    squares += log * log;
  }
  CHECK(sum / n == Approx(0).margin(0.02));
  CHECK(std::sqrt(squares / n) == Approx(0.5).epsilon(0.02));
}

TEST_CASE("A plan has the batches of a loader") {
  const BatchPlan plan{.partition = 7, .batch_size = 3, .epochs = 2};
  REQUIRE(plan.batches() == 6);
  const int64_t counts[] = {3, 3, 1, 3, 3, 1};
  int64_t before = 0;
  for (int64_t i = 0; i < 6; ++i) {
    CHECK(plan.SamplesOf(i) == counts[i]);
    CHECK(plan.SamplesBefore(i) == before);
    before += counts[i];
  }
  CHECK(plan.SamplesBefore(6) == 14);
}

TEST_CASE(
    "The toy's noise has no bias, and its gradient is the same anywhere") {
  Flat x(5000), gradient(5000), sum(5000);
  QuadraticSource source({.partition = 4000, .batch_size = 1, .epochs = 1}, 1,
                         0);
  for (int i = 0; i < 4000; ++i) {
    REQUIRE(source.Next() == 1);
    source.Gradient(x, {sum, 1, 1});
  }
  CHECK(source.Next() == 0);
  // At 0 the gradient is -m: the mean over 4000 batches is so to 4 sigma.
  ForEach([](float& s) { s /= 4000; }, sum);
  double value = 0;
  for (int64_t i = 0; i < x.size(); ++i) value += double{sum[i]} * sum[i] / 2;
  CHECK(value / 5000 == Approx(QuadraticSource::Value(x)).epsilon(0.01));
  // Into the very x, as plain SGD has it, and by itself.
  QuadraticSource again({.partition = 2, .batch_size = 1, .epochs = 1}, 3, 1);
  QuadraticSource other({.partition = 2, .batch_size = 1, .epochs = 1}, 3, 1);
  again.Next();
  other.Next();
  again.Gradient(x, {gradient});
  other.Gradient(x, {x, -0.5f, 1});
  bool is_same = true;
  for (int64_t i = 0; i < x.size(); ++i) {
    is_same = is_same && x[i] == -0.5f * gradient[i];
  }
  CHECK(is_same);
}

}  // namespace
}  // namespace monsoon
