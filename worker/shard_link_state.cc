// SPDX-License-Identifier: Apache-2.0
//
// What a link writes into a checkpoint, and reads from it.
#include "base/status_macros.h"
#include "worker/shard_link.h"

namespace monsoon {

void ShardLink::Save(Writer& writer) const {
  absl::MutexLock lock(&mu_);
  writer.Int(accounted_step_);
  writer.Int(static_cast<int64_t>(sequences_.size()));
  for (const auto* numbers : {&sequences_, &versions_, &versions_before_}) {
    for (int64_t number : *numbers) writer.Int(number);
  }
  for (int64_t value : {counters_.pushes, counters_.pulls, counters_.bytes_up,
                        counters_.bytes_down, counters_.samples_refused}) {
    writer.Int(value);
  }
  writer.Counts(counters_.staleness);
  writer.Floats(packing_.residual());
}

absl::Status ShardLink::Load(Reader& reader) {
  absl::MutexLock lock(&mu_);
  int64_t count = 0;
  RETURN_IF_ERROR(reader.Int(accounted_step_));
  RETURN_IF_ERROR(reader.Int(count));
  if (count != static_cast<int64_t>(sequences_.size())) {
    return absl::DataLossError(absl::StrCat(
        "saved link has ", count, " shards, expected ", sequences_.size()));
  }
  for (auto* numbers : {&sequences_, &versions_, &versions_before_}) {
    for (int64_t& number : *numbers) RETURN_IF_ERROR(reader.Int(number));
  }
  for (int64_t* value :
       {&counters_.pushes, &counters_.pulls, &counters_.bytes_up,
        &counters_.bytes_down, &counters_.samples_refused}) {
    RETURN_IF_ERROR(reader.Int(*value));
  }
  RETURN_IF_ERROR(reader.Counts(counters_.staleness));
  return reader.Floats(packing_.residual());
}

}  // namespace monsoon
