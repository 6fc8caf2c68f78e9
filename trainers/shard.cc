// SPDX-License-Identifier: Apache-2.0
#include "trainers/shard.h"

#include "base/status_macros.h"

namespace monsoon {

bool Shard::Try(absl::FunctionRef<void()> change) {
  if (before_.empty()) before_ = Flat(center.size());
  before_.CopyFrom(center);
  slots.Track();
  change();
  const bool finite = AllFinite(center.span()) && slots.TrackedAreFinite();
  if (finite) {
    slots.Keep();
  } else {
    center.CopyFrom(before_);
    slots.Undo();
  }
  return finite;
}

void Shard::Save(Writer& writer) const {
  writer.Int(version);
  writer.Floats(center);
  slots.Save(writer);
}

absl::Status Shard::Load(Reader& reader) {
  RETURN_IF_ERROR(reader.Int(version));
  RETURN_IF_ERROR(reader.Floats(center));
  return slots.Load(reader);
}

}  // namespace monsoon
