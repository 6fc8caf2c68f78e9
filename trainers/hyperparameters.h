// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace monsoon {

// What a default may depend on.
struct JobFacts {
  int workers = 1;
  uint64_t seed = 1;
  float lr = 0.1f;                // the workers' local rate
  std::string optimizer = "sgd";  // the workers' local rule
};

// The interval in which a number makes sense; open where said.
struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool min_open = false;
  bool max_open = false;
};

// Key and value pairs for one trainer. The trainer's constructor asks for each
// of its keys, stating type, default, range and help in one place; the answers
// are the values given or the defaults. What is wrong is collected, so that a
// constructor has no error path of its own. Not thread-safe.
class Hyperparameters {
 public:
  struct Declared {
    std::string key;
    std::string type;      // "count", "number", "flag" or "a|b|c"
    std::string fallback;  // the default under these facts
    std::string accepted;  // "1 or more", "above 0, below 1"
    std::string help;
    std::string value;  // what the trainer got
  };

  Hyperparameters(std::map<std::string, std::string> given, JobFacts facts)
      : given_(std::move(given)), facts_(std::move(facts)) {}

  const JobFacts& facts() const { return facts_; }

  int64_t Count(const std::string& key, int64_t fallback, int64_t min,
                const std::string& help);
  double Number(const std::string& key, double fallback, Range range,
                const std::string& help);
  bool Toggle(const std::string& key, bool fallback, const std::string& help);
  std::string Choice(const std::string& key, const std::string& fallback,
                     const std::vector<std::string>& choices,
                     const std::string& help);

  // What several keys must be together: `rule` says it, with the values found.
  void Require(bool holds, const std::string& rule);
  // What is allowed, but is beyond a known bound.
  void Warn(bool applies, const std::string& what);

  const std::vector<std::string>& warnings() const { return warnings_; }
  // In the order of the questions.
  const std::vector<Declared>& declared() const { return declared_; }
  // Every key with the value in force.
  std::map<std::string, std::string> resolved() const;
  // INVALID_ARGUMENT for the first bad value, or for a given key that nobody
  // asked for, with the accepted ones. `owner` is "trainer adag".
  absl::Status Check(absl::string_view owner) const;

 private:
  // The text given for `key`, or null; declares the key.
  const std::string* Take(Declared declared);
  void Reject(const std::string& key, const std::string& found);

  std::map<std::string, std::string> given_;
  JobFacts facts_;
  std::vector<Declared> declared_;
  std::vector<std::string> warnings_;
  absl::Status status_;
};

}  // namespace monsoon
