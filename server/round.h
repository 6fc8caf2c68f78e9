// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/flat.h"
#include "base/serial.h"
#include "trainers/trainer.h"

namespace monsoon {

// The pushes of a round of several, kept until it closes: their mean is taken
// in the order of ranks, so that it has the same bits in whatever order they
// came. Costs the memory of the most pushes that were ever in it. Not
// thread-safe.
class Round {
 public:
  // `memory`, where the pushes are kept, outlives it.
  explicit Round(int64_t size, MemoryResource& memory = HeapMemory())
      : size_(size), memory_(memory) {}

  // Keeps a copy of `update`, whose largest magnitude is `largest`.
  void Add(const Update& update, double largest);
  int64_t count() const { return static_cast<int64_t>(used_); }
  // How many of these workers have pushed.
  int64_t CountOf(absl::Span<const int> workers) const;
  // No sum of the weighted values has a larger element.
  double bound() const { return bound_; }
  // The weighted mean of the updates; `progress` is its own. Valid until the
  // next change. REQUIRES: count() > 0.
  Update Mean(double progress);
  void Clear();

  void Save(Writer& writer) const;
  absl::Status Load(Reader& reader);

 private:
  struct Push {
    Flat value;
    double weight = 0;
    double lr_factor = 0;
    int64_t worker = 0;
    int64_t staleness = 0;
    int64_t local_steps = 0;
    int64_t samples = 0;
  };

  const int64_t size_;
  MemoryResource& memory_;
  std::vector<Push> pushes_;  // the first `used_`, and memory for the next
  size_t used_ = 0;
  double bound_ = 0;
  Flat mean_;
};

}  // namespace monsoon
