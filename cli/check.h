// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace monsoon {

enum class Verdict { kGood, kNote, kBad };

// One line of `monsoon doctor`: what was looked at, what was found and, unless
// it is good, what to do. A note is worth knowing and no reason to fail.
struct Check {
  std::string section;  // "memory", "server host1:7001"
  std::string name;     // of what was looked at, within the section
  Verdict verdict = Verdict::kGood;
  std::string found;
  std::string expected = {};  // empty: nothing in particular
  std::string advice = {};    // empty only where the verdict is good
};

using Checks = std::vector<Check>;

// Those of one section, in their order.
class Section {
 public:
  explicit Section(std::string name) : name_(std::move(name)) {}

  void Good(std::string name, std::string found, std::string expected = {}) {
    checks_.push_back({name_, std::move(name), Verdict::kGood, std::move(found),
                       std::move(expected)});
  }
  void Note(std::string name, std::string found, std::string expected,
            std::string advice) {
    checks_.push_back({name_, std::move(name), Verdict::kNote, std::move(found),
                       std::move(expected), std::move(advice)});
  }
  void Bad(std::string name, std::string found, std::string expected,
           std::string advice) {
    checks_.push_back({name_, std::move(name), Verdict::kBad, std::move(found),
                       std::move(expected), std::move(advice)});
  }

  const Checks& checks() const { return checks_; }

 private:
  std::string name_;
  Checks checks_;
};

}  // namespace monsoon
