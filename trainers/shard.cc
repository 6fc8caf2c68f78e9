// SPDX-License-Identifier: Apache-2.0
#include "trainers/shard.h"

#include "base/status_macros.h"
#include "trainers/elements.h"

namespace monsoon {

Flat& Shard::seen(int worker) {
  const std::string name = absl::StrCat("seen/", worker);
  const bool is_new = !slots.has(name);
  Flat& seen = slots.vector(name);
  if (is_new) seen.CopyFrom(center);
  return seen;
}

void Shard::Forget(int worker) { slots.EraseSuffix(absl::StrCat("/", worker)); }

bool Shard::Try(absl::FunctionRef<void()> change) {
  if (before_.empty()) before_ = Flat(center.size(), memory());
  before_.CopyFrom(center);
  slots.Track();
  change();
  const bool finite = AllFinite(center) && slots.TrackedAreFinite();
  if (finite) {
    slots.Keep();
  } else {
    center.CopyFrom(before_);
    slots.Undo();
  }
  return finite;
}

void Shard::RoundReply(Flat& reply) {
  if (reply_code == nullptr) return;
  if (lost_.empty()) lost_ = Flat(center.size(), memory());
  ForEach(SetTo{0}, lost_);
  const size_t bytes = reply_code->bytes();
  if (coded_.empty()) {
    coded_ = Flat(static_cast<int64_t>(bytes / sizeof(float) + 1), memory());
  }
  const absl::Span<char> coded(reinterpret_cast<char*>(coded_.data()), bytes);
  reply_code->Encode(reply, lost_, coded);
  // What is not finite is NaN now, and undone by whoever looks (Try).
  reply_code->Decode(coded, reply).IgnoreError();
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
