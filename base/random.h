// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <vector>

namespace monsoon {

// A stream of random numbers that depends on its key alone, the same on every
// machine and compiler. Streams of different keys are independent: name what a
// stream is for in its key, {seed, kShuffle, epoch, worker}. Not thread-safe.
class Random {
 public:
  // What a stream is for: the second number of its key.
  enum Purpose : uint64_t {
    kInitialize = 1,
    kShuffle = 2,
    kPlan = 3,
    kDropout = 4,
    kRetry = 5,
    // Of simulated clusters:
    kStepTime = 6,
    kStraggler = 7,
    kCrash = 8,
    kProcess = 9,
    kNoise = 10,
    // Of statistics over runs:
    kResample = 11
  };

  explicit Random(std::initializer_list<uint64_t> key);

  // Uniform over all 64-bit numbers.
  uint64_t Next() { return engine_(); }
  // Uniform over [0, bound). REQUIRES: bound >= 1.
  uint64_t Below(uint64_t bound);
  // Uniform over [low, high), a multiple of 2^-24 of the width.
  float Uniform(float low, float high);
  // Puts `items` into an order drawn uniformly (Fisher-Yates).
  void Shuffle(std::vector<int64_t>& items);

 private:
  std::mt19937_64 engine_;
};

}  // namespace monsoon
