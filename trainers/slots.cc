// SPDX-License-Identifier: Apache-2.0
#include "trainers/slots.h"

#include <utility>

#include "base/status_macros.h"

namespace monsoon {

Flat& Slots::vector(const std::string& name) {
  Flat& slot = vectors_[name];
  if (slot.size() != size_) slot = Flat(size_);
  return slot;
}

void Slots::Save(Writer& writer) const {
  writer.Int(static_cast<int64_t>(vectors_.size()));
  for (const auto& [name, values] : vectors_) {
    writer.String(name);
    writer.Floats(values);
  }
  writer.Int(static_cast<int64_t>(numbers_.size()));
  for (const auto& [name, value] : numbers_) {
    writer.String(name);
    writer.Double(value);
  }
}

absl::Status Slots::Load(Reader& reader) {
  vectors_.clear();
  numbers_.clear();
  std::string name;
  int64_t count = 0;
  RETURN_IF_ERROR(reader.Int(count));
  for (int64_t i = 0; i < count; ++i) {
    RETURN_IF_ERROR(reader.String(name));
    RETURN_IF_ERROR(reader.Floats(vector(name)));
  }
  RETURN_IF_ERROR(reader.Int(count));
  for (int64_t i = 0; i < count; ++i) {
    RETURN_IF_ERROR(reader.String(name));
    RETURN_IF_ERROR(reader.Double(number(name)));
  }
  return absl::OkStatus();
}

}  // namespace monsoon
