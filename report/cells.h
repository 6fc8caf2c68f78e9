// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "report/run_summary.h"
#include "report/spread.h"

namespace monsoon {

// A trainer with all that was chosen beside it, over the batch sizes.
struct Variant {
  std::string trainer;
  // "adag"; what tells it from other variants of the trainer is behind a comma:
  // "adag, 4 workers, bf16". "single (1 worker)" where the others have more.
  std::string name;
  std::string family;  // the same without the number of workers
  int64_t workers = 0;
};

// The repeats of one variant with one batch size: they differ in their seeds.
struct RunCell {
  size_t variant = 0;  // an index of RunGroup::variants
  int64_t batch_size = 0;
  std::vector<size_t> runs;  // indices of the runs that were grouped
  int done = 0;
  int disturbed = 0;  // by other processes; counted like the others
  // How those that are not done ended, and how many so: {"failed", 2}.
  std::map<std::string, int> endings;
  Spread elapsed;   // of those that are done, in seconds
  Spread accuracy;  // likewise, of the test data
};

// Runs that may be compared: of one model, data set and number of epochs, all
// on real or all on virtual time.
struct RunGroup {
  std::string title;  // "mlp on fashion-mnist, 1 epoch"
  std::vector<Variant> variants;
  std::vector<int64_t> batch_sizes;  // that some run has, going up
  // By variant and then batch size; those that have a run.
  std::vector<RunCell> cells;

  // Of all its runs.
  bool has_done() const;
  // Null when there is no such run.
  const RunCell* Find(size_t variant, int64_t batch_size) const;
};

// Puts every run into one cell of one group. Groups, and the variants in them,
// are in the order of their first runs, those of one trainer together.
std::vector<RunGroup> GroupRuns(absl::Span<const RunSummary> runs);

}  // namespace monsoon
