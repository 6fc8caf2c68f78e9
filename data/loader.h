// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/serial.h"
#include "data/dataset.h"

namespace monsoon {

// The batches of one worker, epoch after epoch, in the order of EpochOrder.
// Every example of the worker's partition is handed out exactly once an epoch:
// the last batch of an epoch may be short, and no batch crosses epochs.
// Allocates at epoch starts only. Not thread-safe; many loaders may share a
// set.
class Loader {
 public:
  // `dataset` outlives the loader, and holds the whole set or exactly this
  // worker's part. REQUIRES: 0 <= worker < workers, batch_size >= 1,
  // epochs >= 0.
  Loader(const Dataset& dataset, int worker, int workers, int64_t batch_size,
         int64_t epochs, uint64_t seed);

  // The rows of the next batch in the data set, valid until the next call; none
  // when all epochs are done.
  absl::Span<const int64_t> NextRows();
  // Makes the order of the next batch's epoch, which NextRows would make: while
  // something else computes, say. The rows that it returned are void then.
  void PrepareRows();
  // Gathers the next batch into input [batch_size, C, H, W] and labels
  // [batch_size] (see Gather) and returns the number of its examples; 0, and
  // nothing written, when all epochs are done.
  int Next(float* input, int32_t* labels);

  int64_t batch_size() const { return batch_size_; }
  // Examples handed out, and those that will have been when all epochs are
  // done.
  int64_t samples() const { return epoch_ * partition_size() + position_; }
  int64_t samples_total() const { return epochs_ * partition_size(); }
  // The epoch of the next batch, from 0; `epochs` when all are done.
  int64_t epoch() const { return epoch_; }
  // Examples of this worker, and batches of an epoch, the short one included.
  int64_t partition_size() const {
    return static_cast<int64_t>(partition_.size());
  }
  int64_t batches() const;
  // Examples in the last batch of an epoch; 0 for an empty partition.
  int64_t tail() const;

  // The position, and nothing that the constructor was told: restore into a
  // loader that was made alike. A position that this loader cannot have gives
  // DATA_LOSS and changes nothing.
  void Save(Writer& writer) const;
  absl::Status Load(Reader& reader);

 private:
  void StartEpoch();

  const Dataset& dataset_;
  const int worker_;
  const int64_t batch_size_;
  const int64_t epochs_;
  const uint64_t seed_;
  std::vector<int64_t> partition_;  // examples of the whole set
  std::vector<int64_t> order_;      // rows of dataset_, in this epoch's order
  int64_t ordered_epoch_ = -1;      // the epoch of order_
  int64_t epoch_ = 0;
  int64_t position_ = 0;  // in order_, below partition_size()
};

}  // namespace monsoon
