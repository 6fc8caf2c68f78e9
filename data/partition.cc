// SPDX-License-Identifier: Apache-2.0
#include "data/partition.h"

#include "base/check.h"
#include "base/random.h"

namespace monsoon {

int64_t PartSize(int64_t size, const Part& part) {
  MONSOON_CHECK(size >= 0 && part.worker >= 0 && part.worker < part.workers,
                "a part is that of one of the workers");
  return (size - part.worker + part.workers - 1) / part.workers;
}

std::vector<int64_t> Partition(int64_t size, int worker, int workers) {
  std::vector<int64_t> examples;
  examples.reserve(static_cast<size_t>(PartSize(size, {worker, workers})));
  for (int64_t e = worker; e < size; e += workers) examples.push_back(e);
  return examples;
}

std::vector<int64_t> EpochOrder(uint64_t seed, int64_t epoch, int worker,
                                absl::Span<const int64_t> partition) {
  std::vector<int64_t> order(partition.begin(), partition.end());
  Random random({seed, Random::kShuffle, static_cast<uint64_t>(epoch),
                 static_cast<uint64_t>(worker)});
  random.Shuffle(order);
  return order;
}

}  // namespace monsoon
