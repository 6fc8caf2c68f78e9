// SPDX-License-Identifier: Apache-2.0
#include "cli/job_arguments.h"

#include "absl/strings/str_cat.h"
#include "worker/option_fields.h"

namespace monsoon {

std::vector<std::string> JobArguments(const Options& options) {
  std::vector<std::string> arguments;
  for (const OptionField& field : OptionFields()) {
    if (field.name == "servers" || field.name == "out") continue;
    // One word each: a value may begin with a dash.
    arguments.push_back(
        absl::StrCat("--", field.name, "=", field.Get(options)));
  }
  for (const auto& [key, value] : options.set) {
    arguments.push_back("--set");
    arguments.push_back(absl::StrCat(key, "=", value));
  }
  return arguments;
}

}  // namespace monsoon
