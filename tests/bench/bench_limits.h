// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <benchmark/benchmark.h>

// The limits of this machine, measured right before each benchmark, and how a
// benchmark says what it reached of them.
namespace monsoon {

// Before the loop: measures. After it: reports. One thread.
//
//   ArithmeticBench limit;
//   for (auto _ : state) kernel->Forward(...);
//   limit.Report(state, 2.0 * multiply_adds);
class ArithmeticBench {
 public:
  ArithmeticBench();
  // `operations` of one iteration: counters GFLOP/s, and of_limit of sgemm.
  void Report(benchmark::State& state, double operations) const;

 private:
  double gemm_gflops_;
};

class BandwidthBench {
 public:
  // Copies `bytes` to see how fast that is where so much lies.
  explicit BandwidthBench(double bytes);
  // `bytes` read and written by one iteration: counters GB/s, and of_limit of a
  // copy's, reads and writes counted alike.
  void Report(benchmark::State& state, double bytes) const;

 private:
  double copy_gbytes_;
};

}  // namespace monsoon
