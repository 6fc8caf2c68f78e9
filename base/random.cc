// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <utility>

#include "base/check.h"

namespace monsoon {
namespace {

std::vector<uint32_t> Words(std::initializer_list<uint64_t> key) {
  std::vector<uint32_t> words;
  for (uint64_t part : key) {
    words.push_back(static_cast<uint32_t>(part));
    words.push_back(static_cast<uint32_t>(part >> 32));
  }
  return words;
}

}  // namespace

Random::Random(std::initializer_list<uint64_t> key) {
  const std::vector<uint32_t> words = Words(key);
  std::seed_seq seed(words.begin(), words.end());
  engine_.seed(seed);
}

uint64_t Random::Below(uint64_t bound) {
  MONSOON_CHECK(bound >= 1, "there is a number below the bound");
  // Rejects the incomplete last interval, so that no result is more likely.
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  uint64_t draw = Next();
  while (draw >= limit) draw = Next();
  return draw % bound;
}

float Random::Uniform(float low, float high) {
  const float unit = static_cast<float>(Next() >> 40) * 0x1p-24f;
  return low + (high - low) * unit;
}

void Random::Shuffle(std::vector<int64_t>& items) {
  for (size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[Below(i)]);
  }
}

}  // namespace monsoon
