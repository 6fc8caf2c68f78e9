// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "worker/options.h"

namespace monsoon {

// One choice of Options, in the one table from which flags, keys of --config
// and settings of a job are made. A value.
struct OptionField {
  using Member = std::variant<std::string Options::*, bool Options::*,
                              int Options::*, uint64_t Options::*,
                              double Options::*, absl::Duration Options::*>;
  // Who sees it beside the flag.
  enum Use {
    kFileAndJob,   // config file, and JobSpec.settings
    kFile,         // config file
    kCommandLine,  // read from a config file, but never written to one
  };

  std::string name;         // "batch-size": flag and key
  std::string placeholder;  // "N", in --help; empty for what takes no value
  std::string help;
  Member member;
  Use use = kFile;
  // Of numbers (durations in seconds): what is accepted, inclusive unless open.
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool min_open = false;
  bool max_open = false;

  // "batch_size", as in summaries and JobSpec.settings.
  std::string key() const;
  bool is_text() const;
  // Its flag takes no value.
  bool is_flag() const;
  // INVALID_ARGUMENT for a text that is no such number or not in range; names
  // value and accepted, not the flag.
  absl::Status Set(absl::string_view text, Options& options) const;
  // The shortest text that Set reads back as the same value.
  std::string Get(const Options& options) const;
  // Is the value in range? As Set.
  absl::Status Check(const Options& options) const;
};

// In the order of --help.
const std::vector<OptionField>& OptionFields();
// By name or key; null when there is none.
const OptionField* FindOptionField(absl::string_view name);

// The shortest decimal text that reads back as `value`.
std::string ShortestDecimal(double value);
// The number that a person wrote who got `value`: 0.1f is 0.1, not
// 0.1000000015.
double AsWritten(float value);

}  // namespace monsoon
