// SPDX-License-Identifier: Apache-2.0
#include "trainers/replica.h"

#include "base/status_macros.h"

namespace monsoon {

Replica::Replica(int rank, int64_t parameters, const Optimizer& optimizer)
    : worker(rank),
      x(parameters),
      gradient(parameters),
      optimizer_(optimizer),
      slots_(parameters),
      optimizer_slots_(parameters),
      center_(std::make_shared<Flat>()) {}

const Flat& Replica::center() const { return *center_; }

void Replica::KeepCenter(const Flat& center) {
  const bool reusable =
      center_.use_count() == 1 && center_->size() == center.size();
  if (!reusable) center_ = std::make_shared<Flat>(center.size());
  center_->CopyFrom(center);
}

void Replica::Save(Writer& writer) const {
  writer.Int(step);
  writer.Int(pending);
  writer.Int(pending_samples);
  writer.Floats(x);
  writer.Floats(*center_);
  slots_.Save(writer);
  optimizer_slots_.Save(writer);
}

absl::Status Replica::Load(Reader& reader) {
  RETURN_IF_ERROR(reader.Int(step));
  RETURN_IF_ERROR(reader.Int(pending));
  RETURN_IF_ERROR(reader.Int(pending_samples));
  RETURN_IF_ERROR(reader.Floats(x));
  center_ = std::make_shared<Flat>();
  RETURN_IF_ERROR(reader.Floats(*center_));
  RETURN_IF_ERROR(slots_.Load(reader));
  return optimizer_slots_.Load(reader);
}

}  // namespace monsoon
