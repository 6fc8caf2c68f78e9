// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/check.h"

namespace monsoon {

// Names to entries of one kind. Filled before main by namespace-scope objects
// of the plug-in files, read-only afterwards, hence safe from any thread.
template <typename Entry>
class Registry {
 public:
  static Registry& Get() {
    static Registry registry;
    return registry;
  }

  // A name that exists already is a programming error.
  void Add(std::string name, Entry entry) {
    const bool is_new =
        entries_.emplace(std::move(name), std::move(entry)).second;
    MONSOON_CHECK(is_new, "a name is registered once");
  }
  // Null when there is none of that name.
  const Entry* Find(absl::string_view name) const {
    const auto it = entries_.find(std::string(name));
    return it == entries_.end() ? nullptr : &it->second;
  }
  // Sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, entry] : entries_) names.push_back(name);
    return names;
  }

 private:
  std::map<std::string, Entry> entries_;
};

}  // namespace monsoon
