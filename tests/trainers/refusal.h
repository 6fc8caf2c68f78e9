// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "trainers/trainer.h"

namespace monsoon {

// Why `trainer` is not made of these keys; empty where it is.
inline std::string Refusal(const std::string& trainer,
                           const std::map<std::string, std::string>& set,
                           const JobFacts& facts = {}) {
  return std::string(MakeTrainer(trainer, set, facts).status().message());
}

}  // namespace monsoon
