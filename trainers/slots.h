// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/flat.h"
#include "base/serial.h"

namespace monsoon {

// Named state beside a vector of `size` floats: momentum, sums of squares,
// accumulated gradients. A slot starts as zeros when it is first named, and is
// saved and restored with all others. All lie in one memory, which outlives
// them. Not thread-safe.
class Slots {
 public:
  explicit Slots(int64_t size, MemoryResource& memory = HeapMemory())
      : size_(size), memory_(&memory) {}

  // A vector of `size` floats. The reference stays valid.
  Flat& vector(const std::string& name);
  // Adds the memory of all vectors named so far.
  void AppendVectors(std::vector<float*>& to);
  // A single number, 0 at first. The reference stays valid.
  double& number(const std::string& name) { return numbers_[name]; }
  double number(const std::string& name) const;
  // From now on remembers what the vectors that are named, and all numbers,
  // held, until Keep or Undo.
  void Track();
  // Every vector named since Track is finite.
  bool TrackedAreFinite() const;
  void Keep() { tracking_ = false; }
  // Everything is as it was at Track.
  void Undo();
  bool has(const std::string& name) const { return vectors_.contains(name); }
  // The vector of that name, or null: asking makes none.
  const Flat* find(const std::string& name) const;
  // Forgets the vectors and numbers whose names end so, as if they had never
  // been named. REQUIRES: not tracking.
  void EraseSuffix(absl::string_view suffix);

  void Save(Writer& writer) const;
  absl::Status Load(Reader& reader);

 private:
  int64_t size_;
  MemoryResource* memory_;
  std::map<std::string, Flat> vectors_;
  std::map<std::string, double> numbers_;

  bool tracking_ = false;
  std::vector<Flat*> tracked_;
  std::vector<std::string> created_;  // since Track
  std::vector<Flat> before_;          // of those; kept for the next time
  std::map<std::string, double> numbers_before_;
};

}  // namespace monsoon
