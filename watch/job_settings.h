// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "proto/convert.h"

namespace monsoon {

// Something that a person could have chosen otherwise about a job.
struct JobSetting {
  std::string name;  // "trainer", "batch_size", "hyper.window"
  std::string text;  // as it would be given

  // The same as what it is: a finite number, true or false, or a text.
  std::variant<std::string, bool, double> value() const;
};

// All of a job, those first that people look at first. The same names for every
// job, but for the hyper-parameters of its trainer; "hyper" has these in one
// line. What may differ between the runs of one choice is not among them, but
// for the seed.
std::vector<JobSetting> SettingsOf(const pb::JobSpec& spec);

}  // namespace monsoon
