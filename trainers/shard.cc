// SPDX-License-Identifier: Apache-2.0
#include "trainers/shard.h"

#include "base/status_macros.h"

namespace monsoon {

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
