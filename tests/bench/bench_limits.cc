// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bench_limits.h"

#include <omp.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "base/flat.h"
#include "models/gemm_limit.h"

namespace monsoon {
namespace {

constexpr double kGiga = 1e-9;
constexpr int kCopies = 20;

void Set(benchmark::State& state, const char* name, double per_iteration,
         double limit) {
  using benchmark::Counter;
  const double iterations = static_cast<double>(state.iterations());
  state.counters[name] =
      Counter(per_iteration * kGiga * iterations, Counter::kIsRate);
  state.counters["of_limit"] =
      Counter(per_iteration * kGiga * iterations / limit, Counter::kIsRate);
}

}  // namespace

ArithmeticBench::ArithmeticBench() {
  omp_set_num_threads(1);
  static GemmLimit gemm(RealClock());
  gemm_gflops_ = std::max(gemm.Measure(), gemm.Measure());
}

void ArithmeticBench::Report(benchmark::State& state, double operations) const {
  Set(state, "GFLOP/s", operations, gemm_gflops_);
}

BandwidthBench::BandwidthBench(double bytes) {
  omp_set_num_threads(1);
  const auto floats = static_cast<int64_t>(bytes / 2 / sizeof(float));
  Flat from(floats), to(floats);
  absl::Duration least = absl::InfiniteDuration();
  for (int i = 0; i < kCopies; ++i) {
    const absl::Time begin = absl::Now();
    // Not memcpy: it goes around the cache when much is copied.
    ForEach([](float& b, float a) { b = a; }, to, from);
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
    least = std::min(least, absl::Now() - begin);
  }
  copy_gbytes_ = bytes * kGiga / absl::ToDoubleSeconds(least);
}

void BandwidthBench::Report(benchmark::State& state, double bytes) const {
  Set(state, "GB/s", bytes, copy_gbytes_);
}

}  // namespace monsoon
