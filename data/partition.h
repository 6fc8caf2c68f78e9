// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace monsoon {

// One worker's share of a set. {0, 1} is the whole set.
struct Part {
  int worker = 0;
  int workers = 1;
  bool operator==(const Part&) const = default;
};

// The rule: example e belongs to worker e mod workers. Every example is in
// exactly one part and sizes differ by at most one. Striding, because a set
// that is stored class by class still gives every worker every class.
inline bool IsIn(const Part& part, int64_t example) {
  return example % part.workers == part.worker;
}
// Where an example of `part` lies among the examples of `part`.
inline int64_t RowIn(const Part& part, int64_t example) {
  return example / part.workers;
}
// How many of `size` examples are in `part`.
int64_t PartSize(int64_t size, const Part& part);

// The examples of one worker, ascending. REQUIRES: 0 <= worker < workers.
std::vector<int64_t> Partition(int64_t size, int worker, int workers);

// The order in which `worker` visits its `partition` in `epoch`: a shuffle that
// depends on seed, epoch and worker alone.
std::vector<int64_t> EpochOrder(uint64_t seed, int64_t epoch, int worker,
                                absl::Span<const int64_t> partition);

}  // namespace monsoon
