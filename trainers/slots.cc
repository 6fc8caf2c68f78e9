// SPDX-License-Identifier: Apache-2.0
#include "trainers/slots.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "base/status_macros.h"

namespace monsoon {

void Slots::AppendVectors(std::vector<float*>& to) {
  for (auto& [name, vector] : vectors_) to.push_back(vector.data());
}

Flat& Slots::vector(const std::string& name) {
  const auto [it, is_created] = vectors_.try_emplace(name);
  Flat& slot = it->second;
  if (slot.size() != size_) slot = Flat(size_, *memory_);
  if (is_created && tracking_) created_.push_back(name);
  const bool is_new = tracking_ && std::find(tracked_.begin(), tracked_.end(),
                                             &slot) == tracked_.end();
  if (is_new) {
    if (before_.size() == tracked_.size())
      before_.emplace_back(size_, *memory_);
    before_[tracked_.size()].CopyFrom(slot);
    tracked_.push_back(&slot);
  }
  return slot;
}

const Flat* Slots::find(const std::string& name) const {
  const auto it = vectors_.find(name);
  return it == vectors_.end() ? nullptr : &it->second;
}

double Slots::number(const std::string& name) const {
  const auto it = numbers_.find(name);
  return it == numbers_.end() ? 0 : it->second;
}

void Slots::Track() {
  tracking_ = true;
  tracked_.clear();
  created_.clear();
  numbers_before_ = numbers_;
}

bool Slots::TrackedAreFinite() const {
  return std::all_of(tracked_.begin(), tracked_.end(),
                     [](const Flat* slot) { return AllFinite(*slot); });
}

void Slots::Undo() {
  tracking_ = false;
  for (size_t i = 0; i < tracked_.size(); ++i) {
    tracked_[i]->CopyFrom(before_[i]);
  }
  for (const std::string& name : created_) vectors_.erase(name);
  tracked_.clear();
  numbers_ = numbers_before_;
}

void Slots::EraseSuffix(absl::string_view suffix) {
  const auto ends = [suffix](const auto& entry) {
    return absl::EndsWith(entry.first, suffix);
  };
  std::erase_if(vectors_, ends);
  std::erase_if(numbers_, ends);
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
