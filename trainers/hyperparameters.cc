// SPDX-License-Identifier: Apache-2.0
#include "trainers/hyperparameters.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/spelling.h"

namespace monsoon {
namespace {

bool Inside(double value, const Range& range) {
  if (!std::isfinite(value)) return false;
  if (range.min_open ? value <= range.min : value < range.min) return false;
  return range.max_open ? value < range.max : value <= range.max;
}

// The shortest text that reads back as the same float: other processes of the
// job build the trainer from it.
std::string Text(double value) {
  char text[32];
  const auto end =
      std::to_chars(text, text + sizeof(text), static_cast<float>(value));
  return std::string(text, end.ptr);
}

std::string Describe(const Range& range) {
  std::vector<std::string> limits;
  if (std::isfinite(range.min)) {
    limits.push_back(
        absl::StrCat(range.min_open ? "above " : "at least ", range.min));
  }
  if (std::isfinite(range.max)) {
    limits.push_back(
        absl::StrCat(range.max_open ? "below " : "at most ", range.max));
  }
  return limits.empty() ? "a finite number" : absl::StrJoin(limits, ", ");
}

}  // namespace

const std::string* Hyperparameters::Take(Declared declared) {
  declared.value = declared.fallback;
  declared_.push_back(std::move(declared));
  const auto it = given_.find(declared_.back().key);
  return it == given_.end() ? nullptr : &it->second;
}

void Hyperparameters::Reject(const std::string& key, const std::string& found) {
  const Declared& declared = declared_.back();
  status_.Update(absl::InvalidArgumentError(
      absl::StrCat("--set ", key, "=", found, ": expected a ", declared.type,
                   ", ", declared.accepted)));
}

int64_t Hyperparameters::Count(const std::string& key, int64_t fallback,
                               int64_t min, const std::string& help) {
  const std::string* text =
      Take({key, "count", absl::StrCat(fallback),
            absl::StrCat("a whole number, ", min, " or more"), help, ""});
  if (text == nullptr) return fallback;
  int64_t value = 0;
  if (!absl::SimpleAtoi(*text, &value) || value < min) {
    Reject(key, *text);
    return fallback;
  }
  declared_.back().value = absl::StrCat(value);
  return value;
}

double Hyperparameters::Number(const std::string& key, double fallback,
                               Range range, const std::string& help) {
  const std::string* text =
      Take({key, "number", Text(fallback), Describe(range), help, ""});
  if (text == nullptr) return fallback;
  double value = 0;
  if (!absl::SimpleAtod(*text, &value) || !Inside(value, range)) {
    Reject(key, *text);
    return fallback;
  }
  declared_.back().value = Text(value);
  return value;
}

bool Hyperparameters::Toggle(const std::string& key, bool fallback,
                             const std::string& help) {
  const std::string* text = Take(
      {key, "flag", fallback ? "true" : "false", "true or false", help, ""});
  if (text == nullptr) return fallback;
  bool value = false;
  if (!absl::SimpleAtob(*text, &value)) {
    Reject(key, *text);
    return fallback;
  }
  declared_.back().value = value ? "true" : "false";
  return value;
}

std::string Hyperparameters::Choice(const std::string& key,
                                    const std::string& fallback,
                                    const std::vector<std::string>& choices,
                                    const std::string& help) {
  const std::string* text =
      Take({key, "choice", fallback,
            absl::StrCat("one of ", absl::StrJoin(choices, ", ")), help, ""});
  if (text == nullptr) {
    if (std::find(choices.begin(), choices.end(), fallback) == choices.end()) {
      status_.Update(absl::InvalidArgumentError(absl::StrCat(
          "the default of ", key, " would be ", fallback,
          ", which it cannot be: ", UnknownName(key, fallback, choices),
          "; say --set ", key, "=...")));
    }
    return fallback;
  }
  if (std::find(choices.begin(), choices.end(), *text) == choices.end()) {
    status_.Update(absl::InvalidArgumentError(absl::StrCat(
        "--set ", key, "=", *text, ": ", UnknownName(key, *text, choices))));
    return fallback;
  }
  declared_.back().value = *text;
  return *text;
}

void Hyperparameters::Require(bool holds, const std::string& rule) {
  if (!holds) status_.Update(absl::InvalidArgumentError("--set " + rule));
}

void Hyperparameters::Warn(bool applies, const std::string& what) {
  if (applies) warnings_.push_back(what);
}

std::map<std::string, std::string> Hyperparameters::resolved() const {
  std::map<std::string, std::string> values;
  for (const Declared& declared : declared_) {
    values[declared.key] = declared.value;
  }
  return values;
}

absl::Status Hyperparameters::Check(absl::string_view owner) const {
  std::vector<std::string> keys;
  for (const Declared& declared : declared_) keys.push_back(declared.key);
  for (const auto& [key, value] : given_) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    if (keys.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--set ", key, "=", value, ": ", owner, " has no keys to set"));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("--set ", key, "=", value, ": ",
                     UnknownName(absl::StrCat("key of ", owner), key, keys)));
  }
  return status_;
}

}  // namespace monsoon
