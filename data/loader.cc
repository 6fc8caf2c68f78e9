// SPDX-License-Identifier: Apache-2.0
#include "data/loader.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace monsoon {

Loader::Loader(const Dataset& dataset, int worker, int workers,
               int64_t batch_size, int64_t epochs, uint64_t seed)
    : dataset_(dataset),
      worker_(worker),
      batch_size_(batch_size),
      epochs_(epochs),
      seed_(seed),
      partition_(Partition(dataset.total, worker, workers)) {
  MONSOON_CHECK(batch_size >= 1 && epochs >= 0, "a batch has examples");
  MONSOON_CHECK(
      dataset.part == Part{} ||
          dataset.part == (Part{.worker = worker, .workers = workers}),
      "the set is whole, or this worker's part");
  // Nothing to hand out: all epochs are done.
  if (partition_.empty()) epoch_ = epochs_;
}

absl::Span<const int64_t> Loader::NextRows() {
  PrepareRows();
  if (epoch_ == epochs_) return {};
  const int64_t count = std::min(batch_size_, partition_size() - position_);
  const auto rows = absl::MakeConstSpan(order_).subspan(
      static_cast<size_t>(position_), static_cast<size_t>(count));
  position_ += count;
  if (position_ == partition_size()) {
    position_ = 0;
    ++epoch_;
  }
  return rows;
}

void Loader::PrepareRows() {
  if (epoch_ != epochs_ && ordered_epoch_ != epoch_) StartEpoch();
}

int Loader::Next(float* input, int32_t* labels) {
  const absl::Span<const int64_t> rows = NextRows();
  if (!rows.empty()) Gather(dataset_, rows, input, labels);
  return static_cast<int>(rows.size());
}

void Loader::StartEpoch() {
  order_ = EpochOrder(seed_, epoch_, worker_, partition_);
  for (int64_t& example : order_) example = RowIn(dataset_.part, example);
  ordered_epoch_ = epoch_;
}

int64_t Loader::batches() const {
  return (partition_size() + batch_size_ - 1) / batch_size_;
}

int64_t Loader::tail() const {
  return partition_.empty() ? 0 : (partition_size() - 1) % batch_size_ + 1;
}

void Loader::Save(Writer& writer) const {
  writer.Int(epoch_);
  writer.Int(position_);
}

absl::Status Loader::Load(Reader& reader) {
  int64_t epoch = 0, position = 0;
  RETURN_IF_ERROR(reader.Int(epoch));
  RETURN_IF_ERROR(reader.Int(position));
  const bool inside = epoch >= 0 && epoch < epochs_ && position >= 0 &&
                      position < partition_size();
  const bool done = epoch == epochs_ && position == 0;
  if (!inside && !done) {
    return absl::DataLossError(absl::StrCat(
        "saved data position is example ", position, " of epoch ", epoch,
        ", expected one of ", partition_size(), " examples and ", epochs_,
        " epochs; restore with the data, workers and epochs of the saved run"));
  }
  epoch_ = epoch;
  position_ = position;
  return absl::OkStatus();
}

}  // namespace monsoon
